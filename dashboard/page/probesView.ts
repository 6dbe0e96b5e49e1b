// The probes' page: for each thing the run was asked to look for, the feature that predicts it best, and the evidence:
// scores on tokens that were not used for choosing it, how many there were, and its strongest examples.
import type { ProbesPage } from '../../schemas/dashboard.ts';
import type { PageContext, View } from './context.ts';
import { el, type Child } from './dom.ts';
import { exampleLegend, exampleList } from './exampleList.ts';
import { formatCount, formatNumber, formatShare } from './format.ts';
import { featureHref } from './router.ts';
import type { SiteData } from './siteData.ts';
import { TokenLabels } from './tokenLabels.ts';
import { visibleText } from './tokens.ts';
import { attachTokenInspection, scaleOf } from './tokenText.ts';

type Probe = ProbesPage[number];

const examplesShown = 3;

/** Renders data/probes.json. */
export async function probesView({ data }: PageContext): Promise<View> {
  const [given, vocabulary] = await Promise.all([data.probes(), data.vocabulary()]);
  const probes = given.map((probe) => ({ ...probe, name: visibleText(probe.name), description: visibleText(probe.description) }));
  const labels = new TokenLabels(vocabulary);
  const sections = probes.map((probe, position) => probeSection(probe, `probe-${position}`, data, labels));
  const element = el(
    'div',
    { class: 'probes-view' },
    el('h1', { tabindex: -1 }, 'Probes'),
    probes.length === 0
      ? el('p', { class: 'notice' }, 'This run has no probes: name some under `probes` in its configuration.')
      : el('p', { class: 'lead' }, 'What was looked for, and the feature that predicts it best. Features and thresholds were chosen on one half of the held-out documents; every score is of the other half.'),
    probes.length > 0 && overview(probes),
    probes.length > 0 && exampleLegend(),
    ...sections.map((section) => section.element),
  );
  attachTokenInspection(element, labels);
  return { title: 'Probes', element, attached: () => sections.forEach((section) => void section.fill()) };
}

/** All answers at a glance, with bars for F1. */
function overview(probes: ProbesPage): HTMLElement {
  const rows = probes.map((probe, position) => {
    const [best] = probe.answers;
    const jump = el('button', { type: 'button', class: 'link', onclick: () => document.getElementById(`probe-${position}`)?.scrollIntoView() }, probe.name);
    const scores: Child[] = best === undefined ? ['–', '–', '–', '–'] : [el('a', { href: featureHref(best.feature) }, best.feature), meter(best.f1, probe.enough), best.auroc.toFixed(2), formatShare(best.precisionTop20)];
    return el('tr', {}, el('th', { scope: 'row' }, jump), ...scores.map((score) => el('td', { class: 'numeric' }, score)), el('td', { class: 'numeric' }, formatCount(probe.support.judgedOn), !probe.enough && tooLittle()));
  });
  const heads = ['Probe', 'Best feature', 'F1', 'AUROC', 'Top 20', 'Support'];
  return el(
    'div',
    { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'All probes' },
    el('table', { class: 'numbers' }, el('caption', { class: 'visually-hidden' }, 'All probes'), el('thead', {}, el('tr', {}, ...heads.map((head, column) => el('th', { scope: 'col', class: column > 0 && 'numeric' }, head)))), el('tbody', {}, ...rows)),
  );
}

function meter(f1: number, enough: boolean): HTMLElement {
  return el('span', { class: `meter${enough ? '' : ' doubtful'}` }, el('span', { class: 'track', '--share': f1.toFixed(3) }), el('span', {}, f1.toFixed(2)));
}

function tooLittle(): HTMLElement {
  return el('span', { class: 'tag' }, 'too little support');
}

function probeSection(probe: Probe, id: string, data: SiteData, labels: TokenLabels): { element: HTMLElement; fill(): Promise<void> } {
  const { name, description, support, enough, answers } = probe;
  const [best] = answers;
  const evidence = el('div', { class: 'evidence' });
  const element = el(
    'section',
    { class: 'probe', id },
    el('div', { class: 'section-head' }, el('h2', {}, name), el('span', { class: 'hint' }, description), !enough && tooLittle()),
    el(
      'p',
      { class: 'hint' },
      `${formatCount(support.judgedOn)} tokens satisfy it where features are judged, ${formatCount(support.chosenOn)} where they are chosen.`,
      !enough && best !== undefined && ' With so few, the scores below may be chance.',
    ),
    best === undefined ? el('p', {}, 'No feature fired on these tokens.') : answerTable(name, answers),
    evidence,
  );
  const fill = async (): Promise<void> => {
    if (best === undefined) return;
    try {
      const page = await data.feature(best.feature);
      const shown = page.top.slice(0, examplesShown);
      evidence.replaceChildren(exampleList(shown, scaleOf(page.maxActivation, shown), labels).element);
    } catch (error) {
      evidence.replaceChildren(el('p', { class: 'hint' }, error instanceof Error ? error.message : String(error)));
    }
  };
  return { element, fill };
}

function answerTable(name: string, answers: Probe['answers']): HTMLElement {
  const heads = ['Feature', 'F1', 'Precision', 'Recall', 'AUROC', 'Top 20', 'Fires above'];
  const rows = answers.map(({ feature, f1, precision, recall, auroc, precisionTop20, threshold }) =>
    el(
      'tr',
      {},
      el('th', { scope: 'row' }, el('a', { href: featureHref(feature) }, feature)),
      ...[f1.toFixed(3), formatShare(precision), formatShare(recall), auroc.toFixed(3), formatShare(precisionTop20), formatNumber(threshold)].map((score) => el('td', { class: 'numeric' }, score)),
    ),
  );
  return el(
    'div',
    { class: 'wide', tabindex: 0, role: 'region', 'aria-label': `Features that answer ${name}` },
    el('table', { class: 'numbers answers' }, el('caption', { class: 'visually-hidden' }, `Features that answer ${name}`), el('thead', {}, el('tr', {}, ...heads.map((head, column) => el('th', { scope: 'col', class: column > 0 && 'numeric' }, head)))), el('tbody', {}, ...rows)),
  );
}
