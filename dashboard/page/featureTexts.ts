// What is said about features, in words: the probe a feature answers, its automatic label, the reader's note. The table
// shows and searches it; a run may have none of it.
import type { FeatureLabels, ProbesPage } from '../../schemas/dashboard.ts';
import type { Note, Notes } from './notes.ts';
import type { IndexTable } from './packedColumns.ts';

export class FeatureTexts {
  readonly #probes: ProbesPage;
  readonly #labels: Map<number, string>;
  readonly #notes: Notes | undefined;

  constructor(probes: ProbesPage, labels: FeatureLabels, notes: Notes | undefined) {
    this.#probes = probes;
    this.#labels = new Map(labels.labels.map(({ feature, text }) => [feature, text]));
    this.#notes = notes;
  }

  /** The probe that the feature predicts best; '' for none, or while that column has not arrived. */
  probe(index: IndexTable, feature: number): string {
    return this.#probes[index.probe?.[feature] ?? -1]?.name ?? '';
  }

  label(feature: number): string {
    return this.#labels.get(feature) ?? '';
  }

  note(feature: number): Note | undefined {
    return this.#notes?.of(feature);
  }

  get hasProbes(): boolean {
    return this.#probes.length > 0;
  }
}
