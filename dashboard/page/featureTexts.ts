// What is said about features, in words: the probe a feature answers, its automatic label, the reader's note. The table
// shows and searches it, and every list has it beside a feature's number; a run may have none of it.
import type { FeatureLabels, ProbesPage } from '../../schemas/dashboard.ts';
import type { Note, Notes } from './notes.ts';
import { openNotes } from './notesTools.ts';
import type { IndexTable } from './packedColumns.ts';
import type { SiteData } from './siteData.ts';
import { visibleText } from './tokens.ts';

export class FeatureTexts {
  readonly probes: ProbesPage;
  readonly automatic: FeatureLabels;
  /** None where the run cannot be told. */
  readonly notes: Notes | undefined;
  readonly #labels: Map<number, string>;

  constructor(probes: ProbesPage, automatic: FeatureLabels, notes: Notes | undefined) {
    this.probes = probes;
    this.automatic = automatic;
    this.notes = notes;
    this.#labels = new Map(automatic.labels.map(({ feature, text }) => [feature, text]));
  }

  static async open(data: SiteData): Promise<FeatureTexts> {
    const [probes, automatic, notes] = await Promise.all([data.probes(), data.labels(), openNotes(data)]);
    return new FeatureTexts(probes, automatic, notes);
  }

  /** The probe that the feature predicts best; '' for none, or while that column has not arrived. */
  probe(index: IndexTable, feature: number): string {
    return this.probes[index.probe?.[feature] ?? -1]?.name ?? '';
  }

  label(feature: number): string {
    return this.#labels.get(feature) ?? '';
  }

  note(feature: number): Note | undefined {
    return this.notes?.of(feature);
  }

  /** Words for the reader: their own comment before an automatic label; '' for neither. */
  about(feature: number): string {
    return visibleText(this.note(feature)?.comment || this.label(feature));
  }

  /** The same where there is no column for probes: what the feature answers comes last. */
  briefly(index: IndexTable, feature: number): string {
    return this.about(feature) || visibleText(this.probe(index, feature));
  }
}
