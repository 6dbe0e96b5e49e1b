// The page's one tooltip, for the pointer and the keyboard alike: built on hover or focus from the element itself, so
// that thousands of tokens carry no content of their own. Escape puts it away.
import { el } from './dom.ts';

const bubble = el('div', { id: 'tooltip', role: 'tooltip', class: 'tooltip', hidden: true });
const marginPx = 8;

/**
 * Shows a tooltip for the elements inside `container` for which `describe` has content.
 *
 * @param describe content for the element under the pointer or focus; undefined for none.
 */
export function attachTooltip(container: HTMLElement | SVGElement, describe: (target: Element, event: Event) => Node | undefined): void {
  const show = (event: Event): void => {
    const target = event.target as Element;
    const content = describe(target, event);
    if (content === undefined) hideTooltip();
    else place(target, content);
  };
  container.addEventListener('pointerover', show);
  container.addEventListener('focusin', show);
  container.addEventListener('pointerleave', hideTooltip);
  container.addEventListener('focusout', hideTooltip);
}

/** Shows content at a point of the viewport, as for a bar under the pointer. */
export function showTooltipAt(box: { left: number; right: number; top: number; bottom: number }, content: Node): void {
  bubble.replaceChildren(content);
  if (!bubble.isConnected) document.body.append(bubble);
  bubble.hidden = false;
  const { width, height } = bubble.getBoundingClientRect();
  const left = Math.min(Math.max((box.left + box.right - width) / 2, marginPx), innerWidth - width - marginPx);
  const above = box.top - height - marginPx;
  bubble.style.left = `${Math.max(left, marginPx)}px`;
  bubble.style.top = `${above < marginPx ? box.bottom + marginPx : above}px`;
}

/** Puts the tooltip away. */
export function hideTooltip(): void {
  bubble.hidden = true;
  document.querySelector('[aria-describedby="tooltip"]')?.removeAttribute('aria-describedby');
}

/** Hides the tooltip on Escape and on scrolling; called once. */
export function installTooltip(): void {
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hideTooltip();
  });
  document.addEventListener('scroll', hideTooltip, { capture: true, passive: true });
}

function place(target: Element, content: Node): void {
  hideTooltip();
  target.setAttribute('aria-describedby', 'tooltip');
  // A span that wraps has a box for each line; the bounding box would put the tooltip between them.
  showTooltipAt(target.getClientRects()[0] ?? target.getBoundingClientRect(), content);
}
