// All benches by name.
import type { Bench } from './bench.ts';
import type { BenchName } from './benchNames.ts';
import { dashboard } from './dashboard.ts';
import { fanout } from './fanout.ts';
import { float16 } from './float16.ts';
import { memory } from './memory.ts';
import { orchestration } from './orchestration.ts';
import { parity } from './parity.ts';
import { reader } from './reader.ts';
import { saeStep } from './saeStep.ts';
import { sample } from './sample.ts';
import { shards } from './shards.ts';
import { soak } from './soak.ts';
import { startup } from './startup.ts';
import { tokenize } from './tokenize.ts';
import { transformerStep } from './transformerStep.ts';

export const benches: Record<BenchName, Bench> = { 'transformer-step': transformerStep, 'sae-step': saeStep, sample, tokenize, shards, reader, startup, memory, fanout, orchestration, parity, float16, dashboard, soak };
