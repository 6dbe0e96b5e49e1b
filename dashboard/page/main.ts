// The page's frame: landmarks, navigation, and one route at a time with its loading and error states. Sets
// body[data-ready] once a route is shown, which is what tests and screenshots wait for.
import type { PageContext, PageMemory, View } from './context.ts';
import { compareView } from './compareView.ts';
import { el } from './dom.ts';
import { featureView } from './featureView.ts';
import { indexView } from './indexView.ts';
import { mapView } from './mapView.ts';
import { probesView } from './probesView.ts';
import { ownView } from './ownView.ts';
import { parseRoute, type Route } from './router.ts';
import { runView } from './runView.ts';
import { DataError, SiteData } from './siteData.ts';
import { textsView } from './textsView.ts';
import { themeToggle } from './theme.ts';
import { hideTooltip, installTooltip } from './tooltip.ts';

/** A route that answers faster than this shows no loading state: it would only flicker. */
const loadingDelayMs = 150;

const data = new SiteData();
const memory: PageMemory = { indexHref: '#/', textsHref: '#/texts' };
const main = el('main', { id: 'main', tabindex: -1 });
const links = {
  index: el('a', { href: '#/' }, 'Features'),
  map: el('a', { href: '#/map' }, 'Map'),
  probes: el('a', { href: '#/probes' }, 'Probes'),
  texts: el('a', { href: '#/texts' }, 'Texts'),
  own: el('a', { href: '#/own' }, 'Your text'),
  run: el('a', { href: '#/run' }, 'Run'),
};
let leaving = new AbortController();

document.body.replaceChildren(
  el('a', { class: 'skip', href: '#main', onclick: skip }, 'Skip to content'),
  el(
    'header',
    { class: 'site' },
    el('a', { class: 'name', href: '#/' }, 'saeflow'),
    el('nav', { 'aria-label': 'Site' }, ...Object.values(links)),
    el('span', { class: 'keys', 'aria-hidden': 'true' }, key('/'), ' search ', key('↑'), key('↓'), key('↵'), ' list ', key('←'), key('→'), ' or ', key('k'), key('j'), ' leaf'),
    themeToggle(),
  ),
  main,
);
installTooltip();
window.addEventListener('hashchange', () => void show(true));
void show(false);

async function show(moveFocus: boolean): Promise<void> {
  leaving.abort();
  const controller = new AbortController();
  leaving = controller;
  const route = parseRoute(location.hash);
  delete document.body.dataset.ready;
  main.setAttribute('aria-busy', 'true');
  const timer = setTimeout(() => main.replaceChildren(el('p', { class: 'notice', role: 'status' }, 'Loading…')), loadingDelayMs);
  const view = await render(route, { data, memory, signal: controller.signal });
  clearTimeout(timer);
  if (controller.signal.aborted) return;
  hideTooltip();
  document.title = `${view.title} · saeflow`;
  document.body.dataset.route = route.name;
  markCurrent(route);
  main.replaceChildren(view.element);
  window.scrollTo(0, 0);
  view.attached?.();
  main.removeAttribute('aria-busy');
  if (moveFocus) (view.focus ?? main.querySelector<HTMLElement>('h1'))?.focus({ preventScroll: true });
  document.body.dataset.ready = 'true';
}

async function render(route: Route, context: PageContext): Promise<View> {
  try {
    if (route.name === 'index') return await indexView(context, route.parameters);
    if (route.name === 'feature') return await featureView(context, route.feature);
    if (route.name === 'compare') return await compareView(context, route.features);
    if (route.name === 'map') return await mapView(context);
    if (route.name === 'probes') return await probesView(context);
    if (route.name === 'run') return await runView(context);
    if (route.name === 'texts') return await textsView(context, route.text, route.parameters);
    if (route.name === 'own') return await ownView(context, route.parameters);
    return errorView('Not found', `There is no page ${route.address}`, 'Choose one from the navigation above.');
  } catch (error) {
    if (error instanceof DataError) return errorView(error.title, error.message, error.remedy);
    const reason = error instanceof Error ? error.message : String(error);
    return errorView('Cannot show this page', reason, 'Its data does not have the expected form: run the exportDashboard stage again with the same version of saeflow.');
  }
}

function errorView(title: string, message: string, remedy: string): View {
  return { title, element: el('div', { class: 'notice error', role: 'alert' }, el('h1', { tabindex: -1 }, title), el('p', {}, message), el('p', {}, remedy)) };
}

function markCurrent(route: Route): void {
  links.index.href = memory.indexHref;
  links.texts.href = memory.textsHref;
  for (const [name, link] of Object.entries(links)) {
    if (name === route.name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

function skip(event: Event): void {
  event.preventDefault();
  main.focus();
}

function key(name: string): HTMLElement {
  return el('kbd', {}, name);
}
