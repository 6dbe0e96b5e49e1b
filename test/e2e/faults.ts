// What a test asks of faultyCompute.ts, and where it writes it.

/** `{"sampleShard/2": "crash"}` */
export type Faults = Record<string, 'crash' | 'hang'>;

/** Environment variable that names the file. */
export const faultsVariable = 'SAEFLOW_TEST_FAULTS';
