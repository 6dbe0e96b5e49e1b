// A feature's page: header, examples from the strongest to the weakest, and beside them the histograms, logits and
// neighbours. Previous and next follow the list the reader came from.
import type { FeaturePage } from '../../schemas/dashboard.ts';
import type { PageContext, View } from './context.ts';
import { el, type Child } from './dom.ts';
import { exampleLegend, exampleList, type ExampleList } from './exampleList.ts';
import { featureAside } from './featureAside.ts';
import { firingFacts, wordsAbout } from './featureFacts.ts';
import { liveness } from './featureQuery.ts';
import { FeatureTexts } from './featureTexts.ts';
import { formatCount, formatNumber, formatQuantity, formatShare, formatSigned } from './format.ts';
import { noteEditor } from './notesTools.ts';
import { compareHref, featureHref } from './router.ts';
import { fact } from './runStrip.ts';
import { requireFeature } from './siteData.ts';
import { TokenLabels } from './tokenLabels.ts';
import { attachTokenInspection, scaleOf } from './tokenText.ts';

/** Renders one feature. */
export async function featureView(context: PageContext, feature: number): Promise<View> {
  const { data, memory } = context;
  const [run, vocabulary] = await Promise.all([data.run(), data.vocabulary()]);
  requireFeature(feature, run.features);
  const [page, texts] = await Promise.all([data.feature(feature), FeatureTexts.open(data)]);
  const labels = new TokenLabels(vocabulary);
  memory.lastFeature = feature;

  const steps = neighbours(feature, run.features, memory.order);
  const lists: ExampleList[] = [];
  const element = el(
    'div',
    { class: 'feature-view' },
    header(page, steps, memory.indexHref, [wordsAbout(feature, texts), texts.notes !== undefined && noteEditor(texts.notes, feature)]),
    page.count === 0 ? el('p', { class: 'notice' }, `Dead: this feature did not fire on any of the ${formatCount(run.tokens)} held-out tokens, so it has no examples.`) : examples(page, labels, lists),
    featureAside(page, { labels, texts, data }),
  );
  attachTokenInspection(element, labels);
  document.addEventListener('keydown', (event) => leaf(event, steps), { signal: context.signal });
  for (const next of [steps.previous, steps.next]) if (next !== undefined) data.feature(next).catch(() => undefined);
  return { title: `Feature ${feature}`, element };
}

interface Steps {
  previous?: number;
  next?: number;
  /** Where in the list the reader is, if they came from one. */
  place?: string;
}

function neighbours(feature: number, features: number, order: readonly number[] | undefined): Steps {
  const position = order?.indexOf(feature) ?? -1;
  if (order !== undefined && position >= 0) {
    return { previous: order[position - 1], next: order[position + 1], place: `${formatCount(position + 1)} of ${formatCount(order.length)} in the list` };
  }
  return { previous: feature > 0 ? feature - 1 : undefined, next: feature + 1 < features ? feature + 1 : undefined };
}

function leaf(event: KeyboardEvent, { previous, next }: Steps): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
  const target = event.key === 'ArrowLeft' || event.key === 'k' ? previous : event.key === 'ArrowRight' || event.key === 'j' ? next : undefined;
  if (target !== undefined) location.hash = featureHref(target);
}

function header(page: FeaturePage, { previous, next, place }: Steps, indexHref: string, words: readonly Child[]): HTMLElement {
  const life = liveness(page.density);
  const step = (label: string, target: number | undefined, arrow: string): HTMLElement =>
    el('a', { class: 'button', href: target === undefined ? undefined : featureHref(target), 'aria-disabled': target === undefined, 'aria-label': `${label} feature${target === undefined ? '' : ` ${target}`}` }, arrow);
  return el(
    'header',
    { class: 'feature-header' },
    el(
      'div',
      { class: 'title-row' },
      el('h1', { tabindex: -1 }, `Feature ${page.feature}`, life !== 'alive' && el('span', { class: 'tag' }, life === 'dead' ? 'dead' : 'ultra-low density')),
      el(
        'nav',
        { class: 'steps', 'aria-label': 'Features' },
        place !== undefined && el('span', { class: 'hint' }, place),
        step('Previous', previous, '←'),
        step('Next', next, '→'),
        el('a', { class: 'button', href: indexHref }, 'List'),
        compareForm(page.feature),
        copyButton(),
      ),
    ),
    ...words,
    el(
      'dl',
      { class: 'facts' },
      ...firingFacts(page),
      fact('Mean when firing', formatNumber(page.meanActivation)),
      page.count > 0 && fact('Effect when firing', effectInWords(page.ablation)),
    ),
    page.languages.length > 0 && languageBar(page.languages),
  );
}

/** Mean change of log p(next token) by the feature, and how often it was for the better. */
function effectInWords({ mean, meanMagnitude, helped }: FeaturePage['ablation']): HTMLElement {
  return el('span', { title: `mean magnitude ${formatNumber(meanMagnitude)} nats` }, `${formatSigned(mean)} nats, helped ${formatShare(helped)}`);
}

function compareForm(feature: number): HTMLElement {
  const other = el('input', { type: 'text', inputmode: 'numeric', pattern: '#?[0-9]{1,9}', required: true, size: 6, placeholder: 'no.', 'aria-label': 'Feature to compare with', autocomplete: 'off' });
  const submit = (event: Event): void => {
    event.preventDefault();
    location.hash = compareHref(feature, Number(other.value.replace('#', '')));
  };
  return el('form', { class: 'compare-form', onsubmit: submit }, other, el('button', { type: 'submit' }, 'Compare'));
}

function copyButton(): HTMLElement {
  const button = el('button', { type: 'button', onclick: () => void copy() }, 'Copy link');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = 'Copied';
    } catch {
      // Only served from https or this machine may a page write the clipboard.
      button.textContent = 'Copy it from the address bar';
    }
    setTimeout(() => (button.textContent = 'Copy link'), 2_000);
  };
  return button;
}

const languagesNamed = 6;

function languageBar(languages: FeaturePage['languages']): HTMLElement {
  const named = languages.slice(0, languagesNamed);
  const rest = languages.slice(languagesNamed).reduce((sum, { share }) => sum + share, 0);
  const parts = rest > 0 ? [...named, { lang: `${languages.length - languagesNamed} more`, share: rest }] : named;
  const kind = (position: number): string => (position < languagesNamed ? `kind-${position}` : 'kind-rest');
  return el(
    'figure',
    { class: 'languages' },
    el('div', { class: 'stack', 'aria-hidden': 'true' }, ...parts.map(({ share }, position) => el('span', { class: kind(position), '--share': share }))),
    el(
      'ul',
      { 'aria-label': 'Share of activation by document language' },
      ...parts.map(({ lang, share }, position) => el('li', {}, el('span', { class: `swatch ${kind(position)}`, 'aria-hidden': 'true' }), `${lang || 'unknown'} ${formatShare(share)}`)),
    ),
  );
}

function examples(page: FeaturePage, labels: TokenLabels, lists: ExampleList[]): HTMLElement {
  const scale = scaleOf(page.maxActivation, [...page.top, ...page.intervals.flatMap((interval) => interval.examples)]);
  const list = (rows: FeaturePage['top']): HTMLElement => {
    const made = exampleList(rows, scale, labels);
    lists.push(made);
    return made.element;
  };
  const expand = el('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false' }, 'full context');
  expand.addEventListener('click', () => {
    const expanded = expand.getAttribute('aria-pressed') !== 'true';
    expand.setAttribute('aria-pressed', String(expanded));
    lists.forEach((each) => each.setExpanded(expanded));
  });
  return el(
    'div',
    { class: 'example-sections' },
    exampleLegend(scale),
    el('section', {}, el('div', { class: 'section-head' }, el('h2', {}, 'Top activations'), expand), list(page.top)),
    ...page.intervals.map((interval) =>
      el(
        'section',
        {},
        el('div', { class: 'section-head' }, el('h2', {}, `${formatNumber(interval.low)} – ${formatNumber(interval.high)}`), el('span', { class: 'hint' }, formatQuantity(interval.count, 'token'))),
        interval.examples.length > 0 ? list(interval.examples) : el('p', { class: 'hint' }, 'No activation in this interval.'),
      ),
    ),
  );
}
