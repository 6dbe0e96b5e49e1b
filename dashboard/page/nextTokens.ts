// What the model expects after the cursor, as it is and with one feature scaled: bars of both side by side, and what the
// change does to the token that did follow.
import type { NextToken, NextTokens } from '../own/protocol.ts';
import { el } from './dom.ts';
import { formatSigned } from './format.ts';
import { tokenChip, type TokenLabels } from './tokenLabels.ts';

export interface NextTokenPanel {
  element: HTMLElement;
  show(next: NextTokens): void;
  /** Says which feature is changed; undefined where none is chosen. */
  setFeature(feature: number | undefined): void;
  /** 1 leaves the feature as it is. */
  readonly factor: number;
  setFactor(factor: number): void;
}

const largestFactor = 5;

/** The panel; `onFactor` is called whenever the reader changes the factor. */
export function nextTokenPanel(labels: TokenLabels, onFactor: () => void): NextTokenPanel {
  const slider = el('input', { type: 'range', id: 'factor', min: 0, max: largestFactor, step: 0.1, value: 1, oninput: changed });
  const output = el('output', { for: 'factor' });
  const name = el('span', {}, 'Feature');
  const preset = (factor: number, label: string): HTMLElement => el('button', { type: 'button', onclick: () => setFactor(factor) }, label);
  const controls = el('div', { class: 'factor' }, el('label', { for: 'factor' }, name, ' ×'), slider, output, el('span', { class: 'presets' }, preset(0, 'Ablate'), preset(1, 'As it is'), preset(largestFactor, `× ${largestFactor}`)));
  const heading = el('span', { class: 'hint' });
  const rows = el('tbody', {});
  const effect = el('p', { class: 'hint', role: 'status' });
  const table = el(
    'table',
    { class: 'next-tokens' },
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Token'), el('th', { scope: 'col' }, 'As it is'), el('th', { scope: 'col' }, 'Changed'))),
    rows,
  );
  const element = el('section', { class: 'next-panel', 'aria-label': 'Next token' }, el('div', { class: 'section-head' }, el('h2', {}, 'Next token'), heading), controls, table, effect);
  describe();
  return {
    element,
    show,
    setFeature,
    setFactor,
    get factor() {
      return slider.valueAsNumber;
    },
  };

  function show({ likeliest, followed }: NextTokens): void {
    const largest = Math.max(...likeliest.flatMap(({ before, after }) => [before, after]), 1e-12);
    rows.replaceChildren(...likeliest.map((next) => row(next, largest, next.token === followed?.token)));
    heading.textContent = 'the likeliest after the cursor';
    effect.replaceChildren(...(followed === undefined ? ['Nothing follows in the text.'] : effectOn(followed)));
  }

  function effectOn({ token, before, after }: NextToken): (Node | string)[] {
    const said = ['What follows is ', chipOf(token), `, of probability ${percent(before)}`];
    return before === after ? [...said, '.'] : [...said, ` → ${percent(after)}: `, el('b', {}, `${formatSigned(Math.log(after / before))} nats`), '.'];
  }

  function row({ token, before, after }: NextToken, largest: number, follows: boolean): HTMLElement {
    const cell = (share: number, kind: string): HTMLElement => el('td', {}, el('span', { class: `probability ${kind}`, '--share': share / largest }), el('span', { class: 'value' }, percent(share)));
    return el('tr', { class: follows && 'follows' }, el('th', { scope: 'row' }, chipOf(token), follows && el('span', { class: 'hint' }, ' follows')), cell(before, 'before'), cell(after, after < before ? 'after lowered' : after > before ? 'after raised' : 'after'));
  }

  function chipOf(token: number): HTMLElement {
    return token === labels.vocabulary.eot ? el('span', { class: 'end-of-text' }, 'end of text') : tokenChip(token, labels);
  }

  function setFeature(feature: number | undefined): void {
    name.textContent = feature === undefined ? 'Feature' : `Feature ${feature}`;
    for (const input of controls.querySelectorAll<HTMLInputElement | HTMLButtonElement>('input, button')) input.disabled = feature === undefined;
  }

  function setFactor(factor: number): void {
    slider.valueAsNumber = factor;
    changed();
  }

  function changed(): void {
    describe();
    onFactor();
  }

  function describe(): void {
    const factor = slider.valueAsNumber;
    output.textContent = factor === 0 ? '0: ablated' : factor === 1 ? '1: as it is' : factor.toFixed(1);
    slider.setAttribute('aria-valuetext', output.textContent);
  }
}

function percent(probability: number): string {
  const share = probability * 100;
  return `${share >= 10 ? share.toFixed(1) : share >= 0.1 ? share.toFixed(2) : share.toPrecision(2)}%`;
}
