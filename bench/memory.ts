import type { Bench } from './bench.ts';
export const memory: Bench = { summary: '', run: () => Promise.reject(new Error('x')) };
