// A text as tokens to walk through: shaded by one feature, with a cursor that follows the pointer and stays where the
// reader clicks or walks with the arrow keys. A list of options for the keyboard and for screen readers.
import { el } from './dom.ts';
import type { TokenLabels } from './tokenLabels.ts';
import { groupTokens, visiblePieces, type TokenGroup } from './tokens.ts';

/** Tokens [start, end): those whose bytes make up what is under the cursor. */
export interface Stretch {
  start: number;
  end: number;
}

export interface TokenPane {
  element: HTMLElement;
  /** Shows a text; the cursor goes to the token at `cursor`. */
  show(tokens: readonly number[], cursor: number): void;
  /** Shades each token by its share, 0 to 1. */
  shade(shares: readonly number[]): void;
}

export interface TokenPaneOptions {
  labels: TokenLabels;
  label: string;
  /** Called with what is under the cursor; `settled` when the reader chose it, not only passed over it. */
  onCursor(stretch: Stretch, settled: boolean): void;
}

/** An empty pane. */
export function tokenPane({ labels, label, onCursor }: TokenPaneOptions): TokenPane {
  let groups: TokenGroup[] = [];
  let spans: HTMLElement[] = [];
  let chosen = 0;
  const element = el('div', { class: 'token-pane', role: 'listbox', 'aria-label': label, 'aria-orientation': 'horizontal', dir: 'auto' });
  const indexOf = (event: Event): number => spans.indexOf((event.target as Element).closest<HTMLElement>('.token') ?? element);

  element.addEventListener('pointerover', (event) => {
    const index = indexOf(event);
    if (index >= 0 && event.pointerType === 'mouse') onCursor(groups[index]!, false);
  });
  element.addEventListener('pointerleave', () => {
    const group = groups[chosen];
    if (group !== undefined) onCursor(group, false);
  });
  element.addEventListener('click', (event) => choose(indexOf(event), true));
  element.addEventListener('keydown', (event) => {
    const rightToLeft = getComputedStyle(element).direction === 'rtl' ? -1 : 1;
    const steps: Record<string, number> = { ArrowRight: chosen + rightToLeft, ArrowLeft: chosen - rightToLeft, Home: 0, End: spans.length - 1, ArrowDown: lineFrom(chosen, 1), ArrowUp: lineFrom(chosen, -1) };
    const next = steps[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    choose(next, true);
  });
  return { element, show, shade };

  function show(tokens: readonly number[], cursor: number): void {
    groups = groupTokens(tokens, labels.vocabulary);
    spans = groups.map(optionOf);
    element.replaceChildren(...spans);
    choose(Math.max(0, groups.findIndex(({ start, end }) => start <= cursor && cursor < end)), false);
  }

  function shade(shares: readonly number[]): void {
    groups.forEach(({ start, end }, index) => {
      const share = Math.min(1, Math.max(0, ...shares.slice(start, end)));
      if (share > 0) spans[index]!.style.setProperty('--share', share.toFixed(4));
      else spans[index]!.style.removeProperty('--share');
    });
  }

  function choose(index: number, focus: boolean): void {
    const span = spans[index];
    if (span === undefined) return;
    const before = spans[chosen];
    before?.setAttribute('aria-selected', 'false');
    if (before !== undefined) before.tabIndex = -1;
    chosen = index;
    span.setAttribute('aria-selected', 'true');
    span.tabIndex = 0;
    if (focus) span.focus();
    onCursor(groups[index]!, true);
  }

  /** The token above or below: the nearest of the next line that has one. */
  function lineFrom(index: number, direction: 1 | -1): number {
    const from = spans[index]?.getBoundingClientRect();
    if (from === undefined) return index;
    let best = index;
    let line: number | undefined;
    let distance = Infinity;
    for (let at = index + direction; spans[at] !== undefined; at += direction) {
      const box = spans[at]!.getBoundingClientRect();
      if (Math.abs(box.top - from.top) < from.height / 2) continue;
      line ??= box.top;
      if (Math.abs(box.top - line) > from.height / 2) break;
      const apart = Math.abs(box.left - from.left);
      if (apart >= distance) continue;
      distance = apart;
      best = at;
    }
    return best;
  }
}

function optionOf(group: TokenGroup): HTMLElement {
  const end = group.kind === 'end-of-text';
  const pieces = visiblePieces(group.text);
  const option = el('span', { class: `token${end ? ' end-of-text' : ''}`, role: 'option', tabindex: -1, 'aria-selected': 'false', 'aria-label': group.text.trim() === '' ? 'white space' : undefined });
  if (end) option.append('end of text');
  else for (const piece of pieces) option.append(piece.mark ? el('span', { class: 'mark' }, piece.text) : piece.text);
  // a newline is shown by its mark and breaks the line as well
  if (!end && group.text.includes('\n')) option.append('\n');
  return option;
}
