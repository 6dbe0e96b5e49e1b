// Beside the examples: how often which activation occurs, what the feature says about the next token, and which
// features and neurons point the same way or fire together.
import type { FeaturePage } from '../../schemas/dashboard.ts';
import { append, el, type Child } from './dom.ts';
import { featureHint } from './featureHint.ts';
import type { FeatureTexts } from './featureTexts.ts';
import { formatDensity, formatShare, formatSigned } from './format.ts';
import { histogram } from './histogram.ts';
import { compareHref, featureHref } from './router.ts';
import type { SiteData } from './siteData.ts';
import { tokenChip, type TokenLabels } from './tokenLabels.ts';

interface AsideSources {
  labels: TokenLabels;
  texts: FeatureTexts;
  data: SiteData;
}

/** The column of histograms, logits, neurons and related features. */
export function featureAside(page: FeaturePage, sources: AsideSources): HTMLElement {
  const { logits } = page;
  const { labels } = sources;
  return el(
    'aside',
    { 'aria-label': 'Statistics of the feature' },
    page.count > 0 && histogram({ title: 'Activations', noun: 'tokens', counts: page.histogram, low: 0, high: page.maxActivation, note: `density ${formatDensity(page.density)}` }),
    histogram({ title: 'Logit weights', noun: 'vocabulary entries', ...logits.histogram, className: (middle) => (middle < 0 ? 'bar negative' : 'bar positive') }),
    el('div', { class: 'logits' }, logitList('Raised most', 'positive', logits.top, labels), logitList('Lowered most', 'negative', logits.bottom, labels)),
    relatedFeatures('Nearest by decoder cosine', page.nearest.map(({ feature, cosine }) => ({ feature, value: cosine })), page.feature, sources),
    relatedFeatures('Correlated features', page.correlatedFeatures.map(({ feature, pearson }) => ({ feature, value: pearson })), page.feature, sources),
    el('div', { class: 'logits' }, neuronAlignment(page.neurons), correlatedNeurons(page.correlatedNeurons)),
  );
}

/** Tokens with their logit weights. */
export function logitList(title: string, sign: 'positive' | 'negative', entries: FeaturePage['logits']['top'], labels: TokenLabels): HTMLElement {
  const largest = Math.max(...entries.map(({ value }) => Math.abs(value)), 1e-12);
  return weightList(
    title,
    sign,
    entries.map(({ token, value }) => ({ share: Math.abs(value) / largest, content: [tokenChip(token, labels)], value: formatSigned(value) })),
  );
}

function neuronAlignment(neurons: FeaturePage['neurons']): HTMLElement | undefined {
  if (neurons.length === 0) return undefined;
  const rows = neurons.map(({ neuron, weight, share }) => ({ share, content: [`${neuron}`], value: `${formatSigned(weight)} · ${formatShare(share)}` }));
  return weightList('Neurons it points along', 'neuron', rows, 'Weight in the decoder row, and share of its L1 norm');
}

function correlatedNeurons(neurons: FeaturePage['correlatedNeurons']): HTMLElement | undefined {
  if (neurons.length === 0) return undefined;
  const rows = neurons.map(({ neuron, pearson }) => ({ share: Math.max(pearson, 0), content: [`${neuron}`], value: pearson.toFixed(2) }));
  return weightList('Correlated neurons', 'neuron', rows, 'Pearson correlation over all tokens read');
}

interface Row {
  share: number;
  content: Child[];
  value: string;
}

function weightList(title: string, kind: string, rows: readonly Row[], explanation?: string): HTMLElement {
  return el(
    'section',
    {},
    el('h2', { title: explanation }, title),
    el('ol', { class: `weights ${kind}` }, ...rows.map(({ share, content, value }) => el('li', { '--share': share.toFixed(3) }, ...content, el('span', { class: 'value' }, value)))),
  );
}

function relatedFeatures(title: string, features: readonly { feature: number; value: number }[], of: number, { labels, texts, data }: AsideSources): HTMLElement | undefined {
  if (features.length === 0) return undefined;
  const rows = features.map(({ feature, value }) => {
    const about = el('span', { class: 'about' });
    const compare = el('a', { class: 'compare-link', href: compareHref(of, feature), 'aria-label': `compare with ${feature}`, title: `compare with ${feature}` }, '⇄');
    return { feature, about, row: { share: Math.max(value, 0), content: [el('a', { href: featureHref(feature) }, feature), about, compare], value: value.toFixed(2) } };
  });
  // The index is large and only adds a hint here, so the page does not wait for it.
  data.probeIndex().then(
    (index) => {
      for (const { feature, about } of rows) append(about, featureHint(feature, { index, labels, texts }));
    },
    () => undefined,
  );
  return weightList(title, 'nearest', rows.map(({ row }) => row));
}
