import type { Bench } from './bench.ts';
export const startup: Bench = { summary: '', run: () => Promise.reject(new Error('x')) };
