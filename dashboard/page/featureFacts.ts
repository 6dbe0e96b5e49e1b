// What is said of a feature before all else, on its own page as in a comparison: how often and how strongly it fires, its
// automatic label, and the probes it answers.
import type { FeaturePage } from '../../schemas/dashboard.ts';
import { el } from './dom.ts';
import type { FeatureTexts } from './featureTexts.ts';
import { formatDensity, formatNumber, formatQuantity, formatShare } from './format.ts';
import { fact } from './runStrip.ts';
import { visibleText } from './tokens.ts';

/** Of its firing, for a `dl` of class `facts`. */
export function firingFacts({ density, count, maxActivation }: FeaturePage): HTMLElement[] {
  return [fact('Density', formatDensity(density)), fact('Fired on', formatQuantity(count, 'token')), fact('Max activation', formatNumber(maxActivation))];
}

/** The automatic label with its scores, and the probes that this feature answers best. */
export function wordsAbout(feature: number, { automatic, probes }: FeatureTexts): HTMLElement | undefined {
  const label = automatic.labels.find((candidate) => candidate.feature === feature);
  const answers = probes.flatMap(({ name, enough, answers: candidates }) => {
    const rank = candidates.findIndex((candidate) => candidate.feature === feature);
    const answer = candidates[rank];
    return answer === undefined ? [] : [{ name, enough, rank, answer }];
  });
  if (label === undefined && answers.length === 0) return undefined;
  const score = (name: string, value: number | null): string => (value === null ? '' : `, ${name} ${value.toFixed(2)}`);
  return el(
    'div',
    { class: 'words' },
    label !== undefined && el('p', {}, visibleText(label.text), ' ', el('span', { class: 'hint' }, `by ${visibleText(automatic.model)}${score('Spearman', label.spearman)}${score('detection', label.detection)}`)),
    answers.length > 0 &&
      el(
        'ul',
        { 'aria-label': 'Probes it answers' },
        ...answers.map(({ name, enough, rank, answer }) =>
          el('li', {}, el('a', { href: '#/probes' }, visibleText(name)), ` ${rank === 0 ? 'best' : `${rank + 1}.`} · F1 ${answer.f1.toFixed(2)} · top 20 ${formatShare(answer.precisionTop20)}`, !enough && ' · too little support'),
        ),
      ),
  );
}
