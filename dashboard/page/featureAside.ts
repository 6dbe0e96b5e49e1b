// Beside the examples: how often which activation occurs, what the feature says about the next token, and which
// features point the same way.
import type { FeaturePage } from '../../schemas/dashboard.ts';
import { el } from './dom.ts';
import { formatSigned } from './format.ts';
import { histogram } from './histogram.ts';
import { featureHref } from './router.ts';
import type { SiteData } from './siteData.ts';
import { tokenChip, type TokenLabels } from './tokenLabels.ts';

/** The column of histograms, logits and nearest features. */
export function featureAside(page: FeaturePage, labels: TokenLabels, data: SiteData): HTMLElement {
  const { logits } = page;
  return el(
    'aside',
    { 'aria-label': 'Statistics of the feature' },
    page.count > 0 && histogram({ title: 'Activations', noun: 'tokens', counts: page.histogram, low: 0, high: page.maxActivation }),
    histogram({ title: 'Logit weights', noun: 'vocabulary entries', ...logits.histogram, className: (middle) => (middle < 0 ? 'bar negative' : 'bar positive') }),
    el('div', { class: 'logits' }, logitList('Raised most', 'positive', logits.top, labels), logitList('Lowered most', 'negative', logits.bottom, labels)),
    page.nearest.length > 0 && nearestFeatures(page.nearest, labels, data),
  );
}

function logitList(title: string, sign: 'positive' | 'negative', entries: FeaturePage['logits']['top'], labels: TokenLabels): HTMLElement {
  const largest = Math.max(...entries.map(({ value }) => Math.abs(value)), 1e-12);
  return el(
    'section',
    {},
    el('h2', {}, title),
    el(
      'ol',
      { class: `weights ${sign}` },
      ...entries.map(({ token, value }) => el('li', { '--share': Math.abs(value) / largest }, tokenChip(token, labels), el('span', { class: 'value' }, formatSigned(value)))),
    ),
  );
}

function nearestFeatures(nearest: FeaturePage['nearest'], labels: TokenLabels, data: SiteData): HTMLElement {
  const rows = nearest.map(({ feature, cosine }) => {
    const about = el('span', { class: 'about' });
    return { feature, about, item: el('li', { '--share': Math.max(cosine, 0) }, el('a', { href: featureHref(feature) }, feature), about, el('span', { class: 'value' }, cosine.toFixed(2))) };
  });
  // The index is large and only adds a hint here, so the page does not wait for it.
  data.index().then(
    (index) => {
      for (const { feature, about } of rows) {
        const token = index.topToken[feature] ?? -1;
        if (token >= 0) about.append(tokenChip(token, labels), ` ${index.topLang[feature] ?? ''}`);
      }
    },
    () => undefined,
  );
  return el('section', {}, el('h2', {}, 'Nearest by decoder cosine'), el('ol', { class: 'weights nearest' }, ...rows.map(({ item }) => item)));
}
