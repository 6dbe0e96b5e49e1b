// Example rows: value, text, provenance. Dense on purpose: twenty rows on one screen show what a feature is about.
import type { Example } from '../../schemas/dashboard.ts';
import { el } from './dom.ts';
import { formatNumber } from './format.ts';
import type { TokenLabels } from './tokenLabels.ts';
import { tokenText, type Scale } from './tokenText.ts';

export interface ExampleList {
  element: HTMLElement;
  setExpanded(expanded: boolean): void;
}

/** Rows for examples of one feature, in the order given. */
export function exampleList(examples: readonly Example[], scale: Scale, labels: TokenLabels): ExampleList {
  const rows = examples.map((example) => exampleRow(example, scale, labels));
  return {
    element: el('ol', { class: 'examples' }, ...rows.map((row) => row.element)),
    setExpanded: (expanded) => rows.forEach((row) => row.setExpanded(expanded)),
  };
}

function exampleRow(example: Example, scale: Scale, labels: TokenLabels): ExampleList {
  const text = tokenText(example, scale, labels);
  const toggle = el('button', { type: 'button', class: 'expand', hidden: !text.long, onclick: () => setExpanded(toggle.getAttribute('aria-expanded') !== 'true') });
  const setExpanded = (expanded: boolean): void => {
    text.setExpanded(expanded);
    toggle.setAttribute('aria-expanded', String(expanded));
    toggle.setAttribute('aria-label', expanded ? 'Show less context' : 'Show more context');
    toggle.textContent = expanded ? '−' : '+';
  };
  setExpanded(false);
  const element = el('li', { class: 'example' }, el('span', { class: 'value' }, formatNumber(example.value)), text.element, toggle, provenance(example));
  return { element, setExpanded };
}

/** de · udhr · corpus.jsonl:12 · token 345: enough to find the place in the corpus again. */
function provenance({ document }: Example): HTMLElement {
  const place = `${document.file}:${document.line}`;
  const full = `document ${document.id}, ${document.source}, ${place}, token ${document.offset}`;
  return el(
    'p',
    { class: 'provenance', title: full },
    el('b', {}, document.lang || 'unknown'),
    [document.source, place, `token ${document.offset}`].filter((part) => part !== '').map((part) => ` · ${part}`).join(''),
  );
}

/** What shades, underlines and outlines mean; with their numbers where all examples beside it are of one feature. */
export function exampleLegend(scale?: Scale): HTMLElement {
  const key = (sample: HTMLElement, meaning: string): HTMLElement => el('li', {}, sample, ' ', meaning);
  const token = (className: string, properties: Record<string, number>, text: string): HTMLElement => el('span', { class: `token ${className}`, ...properties, 'aria-hidden': 'true' }, text);
  return el(
    'ul',
    { class: 'legend', 'aria-label': 'How to read the examples' },
    key(el('span', { class: 'ramp', 'aria-hidden': 'true' }), scale === undefined ? 'activation, from none to the feature’s maximum' : `activation, 0 to ${formatNumber(scale.activation)}`),
    key(token('fired', {}, 'abc'), 'the token the example was chosen for'),
    scale?.effect !== 0 && key(token('likelier', { '--effect': 1 }, 'abc'), `made more likely by the feature on the token before${scale === undefined ? '' : ` (up to ${formatNumber(scale.effect, 2)} nats)`}`),
    scale?.effect !== 0 && key(token('unlikelier', { '--effect': 1 }, 'abc'), 'made less likely'),
  );
}
