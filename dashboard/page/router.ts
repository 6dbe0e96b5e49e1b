// Addresses of the page. Hash routing, so that a static host needs no rewriting and links to a feature can be shared.

export type Route =
  | { name: 'index'; parameters: URLSearchParams }
  | { name: 'feature'; feature: number }
  | { name: 'run' }
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
  const feature = /^\/feature\/(\d{1,9})$/.exec(path)?.[1];
  return feature === undefined ? { name: 'unknown', address: hash } : { name: 'feature', feature: Number(feature) };
}

/** The address of a feature's page. */
export function featureHref(feature: number): string {
  return `#/feature/${feature}`;
}
