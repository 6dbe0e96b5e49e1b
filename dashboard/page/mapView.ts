// The map: decoder rows in two dimensions by UMAP, so that features of like direction lie together. A list of clusters
// below says the same in words, for those who don't look at pictures.
import type { FeatureMap } from '../../schemas/dashboard.ts';
import type { PageContext, View } from './context.ts';
import { colour } from './curves.ts';
import { el } from './dom.ts';
import { featureHint, type HintSources } from './featureHint.ts';
import { FeatureTexts } from './featureTexts.ts';
import { formatCount, formatDensity, formatQuantity } from './format.ts';
import { colourings, type Coloured, type MapIndex } from './mapColours.ts';
import { MapPlot } from './mapPlot.ts';
import { featureHref } from './router.ts';
import { isDark, onThemeChange } from './theme.ts';
import { tokenChip, TokenLabels } from './tokenLabels.ts';
import { visibleText } from './tokens.ts';
import { hideTooltip, showTooltipAt } from './tooltip.ts';

/** Features named in the summary of a cluster, the densest. */
const clusterNames = 8;

/** Renders data/map.json. */
export async function mapView({ data, signal, memory }: PageContext): Promise<View> {
  const [map, index, vocabulary, texts] = await Promise.all([data.map(), data.lateIndex(), data.vocabulary(), FeatureTexts.open(data)]);
  const labels = new TokenLabels(vocabulary);
  const choices = colourings({ map, index, probes: texts.probes });
  let coloured: Coloured = choices[0]!.colour(isDark());

  const canvas = el('canvas', { class: 'map', tabindex: 0, role: 'application', 'aria-label': 'Map of features: arrow keys go from feature to feature, Enter opens one, plus and minus zoom, 0 shows all', 'aria-describedby': 'map-point' });
  const said = el('p', { id: 'map-point', class: 'hint', role: 'status' }, matchMedia('(hover: none)').matches ? 'Pinch to zoom, tap a point to open it.' : 'Hover over a point, or use the arrow keys.');
  const plot = new MapPlot(canvas, {
    points: map,
    colourOf: (point) => coloured.of(point),
    isBelow: (point) => coloured.isGrey(point),
    ringColour: () => colour(canvas, '--ink'),
    onPoint: (point, box) => {
      const feature = point === undefined ? undefined : map.features[point];
      if (feature === undefined || box === undefined) return hideTooltip();
      said.replaceChildren(inWords(feature));
      showTooltipAt(box, inWords(feature));
    },
    onOpen: (point) => {
      memory.order = undefined;
      location.hash = featureHref(map.features[point] ?? 0);
    },
  });
  const legend = el('ul', { class: 'legend map-legend', 'aria-label': 'Colours' });
  const choice = el('select', { id: 'map-colour', onchange: () => recolour() }, ...choices.map(({ name }) => el('option', {}, name)));
  const button = (text: string, label: string, onclick: () => void): HTMLElement => el('button', { type: 'button', 'aria-label': label, onclick }, text);
  const element = el(
    'div',
    { class: 'map-view' },
    el('h1', { tabindex: -1 }, 'Map of features'),
    el('p', { class: 'lead' }, `Decoder directions of ${coverage(map, index)} in two dimensions (UMAP, cosine): what lies together points the same way.`),
    el('div', { class: 'toolbar' }, el('label', { for: 'map-colour' }, 'Colour by'), choice, el('div', { class: 'map-zoom' }, button('+', 'Zoom in', () => plot.zoom(1)), button('−', 'Zoom out', () => plot.zoom(-1)), button('Whole map', 'Whole map', () => plot.reset()))),
    canvas,
    // below the map, which must not move when this gets another line
    said,
    legend,
    clusterList(map, { index, labels, texts }),
  );
  const observer = new ResizeObserver(() => plot.draw());
  observer.observe(canvas);
  signal.addEventListener('abort', () => observer.disconnect());
  onThemeChange(recolour, signal);
  const last = memory.lastFeature === undefined ? -1 : map.features.indexOf(memory.lastFeature);
  return { title: 'Map', element, attached: recolour, focus: last < 0 ? undefined : canvas };

  function recolour(): void {
    coloured = (choices[choice.selectedIndex] ?? choices[0]!).colour(isDark());
    legend.replaceChildren(...coloured.legend.map(({ name, fill }) => el('li', {}, el('span', { class: 'swatch', '--fill': fill, 'aria-hidden': 'true' }), name)));
    plot.draw();
    if (last >= 0) plot.choose(last);
  }

  function inWords(feature: number): HTMLElement {
    const token = index.topToken[feature] ?? -1;
    const words = [texts.note(feature)?.comment, texts.label(feature), texts.probe(index, feature), index.topLang[feature]].filter((word) => word !== undefined && word !== '').map((word) => visibleText(word ?? ''));
    return el('span', {}, el('b', {}, `${feature}`), ' ', token >= 0 && tokenChip(token, labels), ` ${[...words, `density ${formatDensity(index.density[feature] ?? 0)}`].join(' · ')}`);
  }
}

function coverage({ features }: FeatureMap, { features: all, density }: MapIndex): string {
  if (features.length === all) return `all ${formatQuantity(all, 'feature')}`;
  const fired = Array.from(density).filter((value) => value > 0).length;
  return features.length === fired ? `the ${formatCount(fired)} of ${formatQuantity(all, 'feature')} that fired` : `the ${formatCount(features.length)} densest of ${formatQuantity(all, 'feature')}`;
}

/** The clusters, largest first, each with its densest features. */
function clusterList(map: FeatureMap, sources: HintSources): HTMLElement {
  const { density } = sources.index;
  const clusters = new Map<number, number[]>();
  map.features.forEach((feature, point) => {
    const cluster = map.cluster[point] ?? -1;
    if (cluster >= 0) clusters.set(cluster, [...(clusters.get(cluster) ?? []), feature]);
  });
  const ordered = [...clusters.entries()].sort(([a, one], [b, other]) => other.length - one.length || a - b);
  const name = (feature: number): Node => el('li', {}, el('a', { href: featureHref(feature) }, feature), ...featureHint(feature, sources));
  return el(
    'section',
    {},
    el('h2', {}, 'Clusters'),
    ordered.length === 0 && el('p', { class: 'hint' }, 'The features form no clusters.'),
    el(
      'ol',
      { class: 'clusters' },
      ...ordered.map(([cluster, features]) => {
        const densest = [...features].sort((a, b) => (density[b] ?? 0) - (density[a] ?? 0) || a - b).slice(0, clusterNames);
        return el('li', {}, el('b', {}, `Cluster ${cluster + 1}`), ' ', el('span', { class: 'hint' }, formatQuantity(features.length, 'feature')), el('ul', {}, ...densest.map(name)));
      }),
    ),
  );
}
