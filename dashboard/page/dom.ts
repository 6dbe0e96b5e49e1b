// Element construction for the page. Content goes in as text nodes only, so a token such as <script> can never become
// markup; styles go in as custom properties, since the page's content security policy allows no style attributes.

export type Child = Node | string | number | null | undefined | false;
type Attribute = string | number | boolean | undefined | ((event: never) => void);
export type Attributes = Record<string, Attribute>;

const svgNamespace = 'http://www.w3.org/2000/svg';

/**
 * An HTML element. `on…` attributes are listeners, `--…` are CSS custom properties, true is an empty attribute, false
 * and undefined are left out.
 *
 * @example
 * el('button', { type: 'button', onclick: open }, 'Open')
 */
export function el<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  assign(element, attributes);
  append(element, children);
  return element;
}

/** An SVG element; attributes as in {@link el}. */
export function svg<Tag extends keyof SVGElementTagNameMap>(tag: Tag, attributes: Attributes = {}, ...children: Child[]): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS(svgNamespace, tag);
  assign(element, attributes);
  append(element, children);
  return element;
}

function assign(element: HTMLElement | SVGElement, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (name.startsWith('--')) element.style.setProperty(name, String(value));
    else element.setAttribute(name, value === true && !name.startsWith('aria-') ? '' : String(value));
  }
}

/** Adds children as {@link el} does. */
export function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(typeof child === 'number' ? String(child) : child);
  }
}
