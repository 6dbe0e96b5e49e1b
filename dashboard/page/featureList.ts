// A list of features with their activations: each a button that colours the text by it, its number a link to its page.
import type { IndexTable } from './packedColumns.ts';
import { el } from './dom.ts';
import { featureHint, type HintSources } from './featureHint.ts';
import { formatNumber } from './format.ts';
import { featureHref } from './router.ts';

export interface FiringFeature {
  feature: number;
  value: number;
}

export interface FeatureList {
  element: HTMLElement;
  show(heading: Node | string, firing: readonly FiringFeature[], chosen: number | undefined): void;
}

export interface FeatureListOptions {
  sources: HintSources;
  /** Rows shown at most. */
  limit: number;
  /** Said where nothing fires. */
  none: string;
  onChoose(feature: number): void;
}

/** An empty list. */
export function featureList({ sources, limit, none, onChoose }: FeatureListOptions): FeatureList {
  const title = el('h2', {});
  const list = el('ol', { class: 'weights firing' });
  const more = el('p', { class: 'hint' });
  const element = el('section', { class: 'firing-list' }, title, list, more);
  return { element, show };

  function show(heading: Node | string, firing: readonly FiringFeature[], chosen: number | undefined): void {
    title.replaceChildren(heading);
    list.replaceChildren(...firing.slice(0, limit).map((one) => row(one, one.feature === chosen)));
    list.hidden = firing.length === 0;
    more.textContent = firing.length === 0 ? none : firing.length > limit ? `and ${firing.length - limit} more` : '';
    more.hidden = more.textContent === '';
  }

  function row({ feature, value }: FiringFeature, pressed: boolean): HTMLElement {
    return el(
      'li',
      { '--share': shareOf(sources.index, feature, value) },
      el('button', { type: 'button', class: 'quiet choose', 'data-feature': feature, 'aria-pressed': String(pressed), onclick: () => onChoose(feature) }, el('span', { class: 'visually-hidden' }, `Colour by feature ${feature} `), el('span', { class: 'about' }, ...featureHint(feature, sources))),
      el('a', { href: featureHref(feature), title: `Feature ${feature}` }, `#${feature}`),
      el('span', { class: 'value' }, formatNumber(value)),
    );
  }
}

/** An activation as a share of the feature's largest one on held-out tokens. */
export function shareOf({ maxActivation }: IndexTable, feature: number, value: number): number {
  const largest = maxActivation[feature] ?? 0;
  return largest > 0 ? Math.min(1, value / largest) : value > 0 ? 1 : 0;
}
