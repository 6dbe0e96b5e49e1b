// The benches' names in the order of lists and of RESULTS.md, apart from the benches themselves: who only reads results
// need not load what measures.
export const benchNames = ['transformer-step', 'sae-step', 'sample', 'tokenize', 'shards', 'reader', 'startup', 'memory', 'fanout', 'orchestration', 'parity', 'float16', 'dashboard', 'soak'] as const;
export type BenchName = (typeof benchNames)[number];
