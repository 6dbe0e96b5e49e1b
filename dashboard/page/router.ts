// Addresses of the page. Hash routing, so that a static host needs no rewriting and links to a feature can be shared.

export type Route =
  | { name: 'index'; parameters: URLSearchParams }
  | { name: 'feature'; feature: number }
  | { name: 'compare'; features: [number, number] }
  | { name: 'map' }
  | { name: 'probes' }
  | { name: 'run' }
  | { name: 'texts'; text: number | undefined; parameters: URLSearchParams }
  | { name: 'own'; parameters: URLSearchParams }
  | { name: 'unknown'; address: string };

/**
 * Reads location.hash.
 *
 * @example
 * parseRoute('#/feature/12') // { name: 'feature', feature: 12 }
 */
export function parseRoute(hash: string): Route {
  const [path = '', parameters = ''] = hash.replace(/^#/, '').split('?', 2);
  if (path === '' || path === '/') return { name: 'index', parameters: new URLSearchParams(parameters) };
  if (path === '/run') return { name: 'run' };
  if (path === '/map') return { name: 'map' };
  if (path === '/probes') return { name: 'probes' };
  const compared = /^\/compare\/(\d{1,9})\/(\d{1,9})$/.exec(path);
  if (compared !== null) return { name: 'compare', features: [Number(compared[1]), Number(compared[2])] };
  if (path === '/own') return { name: 'own', parameters: new URLSearchParams(parameters) };
  const text = /^\/texts(?:\/(\d{1,4}))?$/.exec(path);
  if (text !== null) return { name: 'texts', text: text[1] === undefined ? undefined : Number(text[1]), parameters: new URLSearchParams(parameters) };
  const feature = /^\/feature\/(\d{1,9})$/.exec(path)?.[1];
  return feature === undefined ? { name: 'unknown', address: hash } : { name: 'feature', feature: Number(feature) };
}

/** The address of a feature's page. */
export function featureHref(feature: number): string {
  return `#/feature/${feature}`;
}

/** The address of two features side by side. */
export function compareHref(first: number, second: number): string {
  return `#/compare/${first}/${second}`;
}

/** The address of an example text, coloured by a feature if one is given. */
export function textHref(text: number, feature?: number): string {
  return `#/texts/${text}${feature === undefined ? '' : `?feature=${feature}`}`;
}

/** The address of the page for the reader's own text. */
export function ownHref(parameters: { text?: string; feature?: number; backend?: string }): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '').map(([name, value]): [string, string] => [name, String(value)]);
  return given.length === 0 ? '#/own' : `#/own?${new URLSearchParams(given).toString()}`;
}
