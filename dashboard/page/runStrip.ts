// The run in one line above the table: what was trained and whether it is any good. A missing run.json costs the line,
// not the table.
import { el } from './dom.ts';
import { formatCount, formatNumber } from './format.ts';
import { DataError, type SiteData } from './siteData.ts';

/** The strip, or a note of what is missing. */
export async function runStrip(data: SiteData): Promise<HTMLElement> {
  try {
    const run = await data.run();
    const { sae } = run;
    return el(
      'dl',
      { class: 'facts' },
      fact('Hook', run.hook),
      fact('Features', formatCount(run.features)),
      fact('Alive', formatCount(sae.alive)),
      fact('L0', formatNumber(sae.l0)),
      fact('Loss clean → reconstructed', `${sae.losses.clean.toFixed(3)} → ${sae.losses.reconstructed.toFixed(3)}`),
      fact('Held-out tokens', formatCount(run.tokens)),
    );
  } catch (error) {
    const reason = error instanceof DataError ? `${error.message}. ${error.remedy}` : String(error);
    return el('p', { class: 'notice' }, `The run's summary is missing: ${reason}`);
  }
}

/** One term and its value, for a `dl` of class `facts`. */
export function fact(term: string, value: string | Node): HTMLElement {
  return el('div', {}, el('dt', {}, term), el('dd', {}, value));
}
