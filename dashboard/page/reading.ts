// A text with its activations: the tokens shaded by one feature, the strongest features at the cursor, those of the whole
// text, and the choice of the feature. Shared by example texts and the reader's own.
import { append, el } from './dom.ts';
import { featureHint, type HintSources } from './featureHint.ts';
import { featureList, shareOf, type FiringFeature } from './featureList.ts';
import { tokenChip } from './tokenLabels.ts';
import { tokenPane, type Stretch } from './tokenPane.ts';

/** A text's tokens and for each the features that fired, strongest first. */
export interface ReadText {
  tokens: readonly number[];
  features: readonly (readonly number[])[];
  values: readonly (readonly number[])[];
}

export interface Reading {
  /** The text, and the choice of the feature above it. */
  main: HTMLElement;
  /** The lists beside it. */
  lists: HTMLElement;
  show(text: ReadText, cursor?: number): void;
  /** Where the reader put the cursor. */
  readonly cursor: number;
  /** The feature by which the text is coloured. */
  readonly feature: number | undefined;
}

export interface ReadingOptions {
  sources: HintSources;
  /** The feature to start with; default: the strongest of the text. */
  feature?: number;
  label: string;
  onCursor?(position: number): void;
  /** `byReader`: chosen, not only the default of a new text. */
  onFeature?(feature: number | undefined, byReader: boolean): void;
}

const shownAtCursor = 12;
const shownOfText = 8;

/** An empty reading. */
export function reading({ sources, feature: initial, label, onCursor, onFeature }: ReadingOptions): Reading {
  const { index, labels } = sources;
  let text: ReadText = { tokens: [], features: [], values: [] };
  let feature = initial !== undefined && initial < index.features ? initial : undefined;
  let chosenByReader = feature !== undefined;
  let cursor = 0;
  let under: Stretch = { start: 0, end: 0 };
  const pane = tokenPane({ labels, label, onCursor: move });
  const atCursor = featureList({ sources, limit: shownAtCursor, none: 'No feature fires here.', onChoose: choose });
  const ofText = featureList({ sources, limit: shownOfText, none: 'No feature fires in this text.', onChoose: choose });
  const number = el('input', { type: 'number', id: 'colour-feature', min: 0, max: index.features - 1, step: 1, inputmode: 'numeric', onchange: () => pick(number.valueAsNumber) });
  const about = el('span', { class: 'about' });
  const strongest = el('button', { type: 'button', class: 'quiet', onclick: () => chooseStrongest() }, 'Strongest');
  const picker = el('div', { class: 'picker' }, el('label', { for: 'colour-feature' }, 'Colour by feature'), number, about, strongest);
  const lists = el('div', { class: 'reading-lists' }, atCursor.element, ofText.element);
  return {
    main: el('div', { class: 'reading' }, picker, pane.element),
    lists,
    show,
    get cursor() {
      return cursor;
    },
    get feature() {
      return feature;
    },
  };

  function show(next: ReadText, at = next.tokens.length - 1): void {
    text = next;
    if (!chosenByReader) feature = strongestOf(text)[0]?.feature;
    pane.show(text.tokens, at);
    onFeature?.(feature, chosenByReader);
    paint();
  }

  function move(stretch: Stretch, settled: boolean): void {
    under = stretch;
    showAtCursor();
    if (!settled) return;
    cursor = stretch.end - 1;
    onCursor?.(cursor);
  }

  function pick(value: number): void {
    if (Number.isInteger(value) && value >= 0 && value < index.features) choose(value);
    else number.value = feature === undefined ? '' : String(feature);
  }

  function choose(chosen: number): void {
    feature = chosen;
    chosenByReader = true;
    onFeature?.(feature, true);
    paint();
  }

  function chooseStrongest(): void {
    feature = strongestOf(text)[0]?.feature;
    chosenByReader = false;
    onFeature?.(feature, false);
    paint();
  }

  function paint(): void {
    pane.shade(text.tokens.map((_, position) => (feature === undefined ? 0 : shareOf(index, feature, valueAt(position, feature)))));
    number.value = feature === undefined ? '' : String(feature);
    about.replaceChildren();
    if (feature !== undefined) append(about, featureHint(feature, sources));
    const focused = lists.contains(document.activeElement) ? document.activeElement?.getAttribute('data-feature') : undefined;
    showAtCursor();
    ofText.show('In the whole text', strongestOf(text), feature);
    // the lists were drawn anew: the keyboard stays on the same feature
    if (typeof focused === 'string') lists.querySelector<HTMLElement>(`button[data-feature="${focused}"]`)?.focus();
  }

  function showAtCursor(): void {
    const heading = el('span', {}, 'At ', ...text.tokens.slice(under.start, under.end).map((token) => (token === labels.vocabulary.eot ? el('span', { class: 'end-of-text' }, 'end of text') : tokenChip(token, labels))));
    atCursor.show(heading, strongestOf(text, under), feature);
  }

  function valueAt(position: number, wanted: number): number {
    return text.values[position]?.[text.features[position]?.indexOf(wanted) ?? -1] ?? 0;
  }
}

/** The largest activation of each feature in a stretch, strongest first. The end of text before a text is no part of it. */
function strongestOf({ tokens, features, values }: ReadText, { start, end }: Stretch = { start: Math.min(1, tokens.length - 1), end: tokens.length }): FiringFeature[] {
  const largest = new Map<number, number>();
  for (let position = Math.max(0, start); position < end; position++) {
    features[position]?.forEach((feature, rank) => {
      const value = values[position]?.[rank] ?? 0;
      if (value > (largest.get(feature) ?? 0)) largest.set(feature, value);
    });
  }
  return [...largest].map(([feature, value]) => ({ feature, value })).sort((a, b) => b.value - a.value || a.feature - b.feature);
}
