// An example's text: each token shaded by the feature's activation on it, underlined where the feature at the token before
// made it more or less likely, and outlined where it fired. Only whole characters are shown, so a span may stand for
// several tokens; its tooltip lists them one by one.
import type { Example } from '../../schemas/dashboard.ts';
import { el } from './dom.ts';
import { formatNumber, formatSigned } from './format.ts';
import { tokenChip, type TokenLabels } from './tokenLabels.ts';
import { groupTokens, visiblePieces, type TokenGroup } from './tokens.ts';
import { attachTooltip } from './tooltip.ts';

/** Columns shown of a long example until it is expanded: one line; what precedes a token tells more than what follows. */
const columnsBefore = 66;
const columnsAfter = 30;

/** What the shades and underlines of one feature are relative to. */
export interface Scale {
  /** Activation of the darkest shade. */
  activation: number;
  /** Magnitude of the effect, in nats, of the strongest underline. */
  effect: number;
}

/** The scale of a feature: its maximum, and the largest effect in the examples shown. */
export function scaleOf(maxActivation: number, examples: readonly Example[]): Scale {
  return { activation: maxActivation, effect: examples.reduce((most, { effects }) => effects.reduce((largest, effect) => Math.max(largest, Math.abs(effect)), most), 0) };
}

interface Source {
  example: Example;
  group: TokenGroup;
}

const sources = new WeakMap<Element, Source>();

export interface TokenText {
  element: HTMLElement;
  /** Whether tokens are left out while it is not expanded. */
  long: boolean;
  setExpanded(expanded: boolean): void;
}

/** The text of an example. */
export function tokenText(example: Example, scale: Scale, labels: TokenLabels): TokenText {
  const groups = groupTokens(example.tokens, labels.vocabulary);
  const near = groupsNear(groups, example.centre);
  const element = el('p', { class: 'text', dir: 'auto', lang: languageTag(example.document.lang) });
  const setExpanded = (expanded: boolean): void => {
    const shown = expanded ? groups : near;
    const spans = shown.map((group) => tokenSpan({ example, group }, scale));
    element.classList.toggle('expanded', expanded);
    element.replaceChildren(shown[0] === groups[0] ? '' : ellipsis(), ...spans, shown.at(-1) === groups.at(-1) ? '' : ellipsis());
  };
  setExpanded(false);
  return { element, long: near.length < groups.length, setExpanded };
}

/** The groups around the token that fired which fit into the columns, wide characters counted twice. */
function groupsNear(groups: readonly TokenGroup[], centre: number): TokenGroup[] {
  const fired = groups.findIndex((group) => group.start <= centre && centre < group.end);
  const width = ({ text }: TokenGroup): number => [...text].reduce((sum, character) => sum + ((character.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1), 0);
  let first = fired;
  let last = fired;
  for (let left = columnsBefore; first > 0; first--) {
    left -= width(groups[first - 1] as TokenGroup);
    if (left < 0) break;
  }
  for (let left = columnsAfter; last < groups.length - 1; last++) {
    left -= width(groups[last + 1] as TokenGroup);
    if (left < 0) break;
  }
  return groups.slice(first, last + 1);
}

/** Tooltips and arrow keys for all example texts inside a container. */
export function attachTokenInspection(container: HTMLElement, labels: TokenLabels): void {
  attachTooltip(container, (target) => {
    const source = sources.get(target.closest('.token') ?? target);
    return source === undefined ? undefined : tokenDetails(source, labels);
  });
  container.addEventListener('keydown', (event) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    const token = event.target as HTMLElement;
    if (step === 0 || !sources.has(token)) return;
    const siblings = [...(token.parentElement?.querySelectorAll<HTMLElement>('.token') ?? [])];
    const next = siblings[siblings.indexOf(token) + step];
    // Inside a text the arrows walk its tokens; outside they leaf through features.
    event.stopPropagation();
    event.preventDefault();
    if (next === undefined) return;
    token.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

/** Below this share of the strongest underline none is drawn: it would be invisible, and every token would have one. */
const leastEffect = 0.04;

function tokenSpan(source: Source, scale: Scale): HTMLElement {
  const { example, group } = source;
  const activation = groupActivation(source);
  const fired = group.start <= example.centre && example.centre < group.end;
  const share = scale.activation > 0 ? Math.min(Math.max(activation / scale.activation, 0), 1) : 0;
  const effect = sumOver(example.effects, group);
  const strength = scale.effect > 0 ? Math.min(Math.abs(effect) / scale.effect, 1) : 0;
  const underline = strength < leastEffect ? '' : effect > 0 ? ' likelier' : ' unlikelier';
  const span = el(fired ? 'mark' : 'span', {
    class: `token${underline}${fired ? ' fired' : ''}${group.kind === 'end-of-text' ? ' end-of-text' : ''}`,
    tabindex: fired ? 0 : -1,
    '--share': share > 0 ? share.toFixed(4) : undefined,
    '--effect': underline === '' ? undefined : strength.toFixed(3),
  });
  if (group.kind === 'end-of-text') span.append('end of text');
  else for (const piece of visiblePieces(group.text)) span.append(piece.mark ? el('span', { class: 'mark' }, piece.text) : piece.text);
  sources.set(span, source);
  return span;
}

function groupActivation({ example, group }: Source): number {
  return Math.max(...example.activations.slice(group.start, group.end), 0);
}

/** Effects on the tokens of a group add up: each is a difference of log-probabilities. */
function sumOver(effects: readonly number[], { start, end }: TokenGroup): number {
  return effects.slice(start, end).reduce((sum, effect) => sum + effect, 0);
}

function tokenDetails({ example, group }: Source, labels: TokenLabels): HTMLElement {
  const rows = example.tokens.slice(group.start, group.end).map((id, offset) => {
    const activation = example.activations[group.start + offset] ?? 0;
    const effect = example.effects[group.start + offset] ?? 0;
    return el('tr', {}, el('td', {}, tokenChip(id, labels)), el('td', {}, `id ${id}`), el('td', {}, `activation ${formatNumber(activation)}`), el('td', {}, effect !== 0 && `effect ${formatSigned(effect)} nats`));
  });
  return el('table', {}, el('tbody', {}, ...rows));
}

function ellipsis(): HTMLElement {
  return el('span', { class: 'ellipsis', 'aria-label': 'left out' }, '…');
}

/** The document's language for fonts and speech, where the corpus's label is a language at all. */
function languageTag(lang: string): string | undefined {
  return /^[a-z]{2}(-[A-Za-z]{2,4})?$/.test(lang) && !['js', 'ts', 'py', 'md'].includes(lang) ? lang : undefined;
}
