// Two features side by side: are they the same thing, a thing and its opposite, or parts of one? What both fire on, push
// for and stand for is put first, then each one's strongest examples and logits.
import type { FeaturePage } from '../../schemas/dashboard.ts';
import type { PageContext, View } from './context.ts';
import { el, type Child } from './dom.ts';
import { exampleLegend, exampleList } from './exampleList.ts';
import { logitList } from './featureAside.ts';
import { firingFacts, wordsAbout } from './featureFacts.ts';
import { FeatureTexts } from './featureTexts.ts';
import { formatShare } from './format.ts';
import { histogram } from './histogram.ts';
import { compareHref, featureHref } from './router.ts';
import { fact } from './runStrip.ts';
import { requireFeature } from './siteData.ts';
import { tokenChip, TokenLabels } from './tokenLabels.ts';
import { attachTokenInspection, scaleOf } from './tokenText.ts';

/** Renders two features. */
export async function compareView({ data }: PageContext, [first, second]: [number, number]): Promise<View> {
  const [run, vocabulary] = await Promise.all([data.run(), data.vocabulary()]);
  for (const feature of [first, second]) requireFeature(feature, run.features);
  const [texts, ...pages] = await Promise.all([FeatureTexts.open(data), data.feature(first), data.feature(second)]);
  const labels = new TokenLabels(vocabulary);
  const element = el(
    'div',
    { class: 'compare-view' },
    el(
      'header',
      { class: 'title-row' },
      el('h1', { tabindex: -1 }, `Features ${first} and ${second}`),
      el('a', { class: 'button', href: compareHref(second, first) }, 'Swap'),
    ),
    el('dl', { class: 'facts' }, ...shared(pages, labels)),
    ...pages.map((page) => side(page, labels, texts)),
  );
  attachTokenInspection(element, labels);
  return { title: `Features ${first} and ${second}`, element };
}

/** What the two have in common, as far as their pages tell. */
function shared([a, b]: readonly [FeaturePage, FeaturePage], labels: TokenLabels): HTMLElement[] {
  const cosine = a.nearest.find(({ feature }) => feature === b.feature)?.cosine ?? b.nearest.find(({ feature }) => feature === a.feature)?.cosine;
  const pearson = a.correlatedFeatures.find(({ feature }) => feature === b.feature)?.pearson ?? b.correlatedFeatures.find(({ feature }) => feature === a.feature)?.pearson;
  const places = new Set(a.top.map(placeOf));
  const samePlaces = b.top.filter((example) => places.has(placeOf(example))).length;
  const common = (list: 'top' | 'bottom', other: 'top' | 'bottom'): number[] => {
    const tokens = new Set(b.logits[other].map(({ token }) => token));
    return a.logits[list].map(({ token }) => token).filter((token) => tokens.has(token));
  };
  const chips = (tokens: readonly number[]): Node => el('span', {}, ...(tokens.length === 0 ? ['none'] : tokens.flatMap((token): Child[] => [tokenChip(token, labels), ' '])));
  return [
    fact('Decoder cosine', cosine === undefined ? 'not among the nearest' : cosine.toFixed(2)),
    fact('Correlation', pearson === undefined ? 'not among the highest' : pearson.toFixed(2)),
    fact('Same places in the top examples', `${samePlaces} of ${Math.min(a.top.length, b.top.length)}`),
    fact('Both raise', chips(common('top', 'top'))),
    fact('Both lower', chips(common('bottom', 'bottom'))),
    fact(`${a.feature} raises, ${b.feature} lowers`, chips(common('top', 'bottom'))),
    fact(`${a.feature} lowers, ${b.feature} raises`, chips(common('bottom', 'top'))),
  ];
}

function placeOf({ document }: FeaturePage['top'][number]): string {
  return JSON.stringify([document.id, document.offset]);
}

function side(page: FeaturePage, labels: TokenLabels, texts: FeatureTexts): HTMLElement {
  const scale = scaleOf(page.maxActivation, page.top);
  const languages = page.languages.slice(0, 3).map(({ lang, share }) => `${lang || 'unknown'} ${formatShare(share)}`);
  return el(
    'section',
    { class: 'side', 'aria-label': `Feature ${page.feature}` },
    el('h2', {}, el('a', { href: featureHref(page.feature) }, `Feature ${page.feature}`)),
    wordsAbout(page.feature, texts),
    el(
      'dl',
      { class: 'facts' },
      ...firingFacts(page),
      languages.length > 0 && fact('Languages', languages.join(', ')),
    ),
    page.count > 0 && histogram({ title: 'Activations', noun: 'tokens', counts: page.histogram, low: 0, high: page.maxActivation }),
    el('div', { class: 'logits' }, logitList('Raised most', 'positive', page.logits.top, labels), logitList('Lowered most', 'negative', page.logits.bottom, labels)),
    el('h3', {}, 'Top activations'),
    page.top.length === 0 ? el('p', { class: 'hint' }, 'It did not fire on held-out tokens.') : exampleLegend(scale),
    exampleList(page.top, scale, labels).element,
  );
}
