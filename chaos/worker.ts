// A worker process as workers/main.ts is, whose compute processes keep a journal, and which ends with the one that started it.
import { fileURLToPath } from 'node:url';
import { runWorkerProcess, workersOptionsOf } from '../workers/main.ts';

process.on('disconnect', () => process.exit(1));

const path = (module: string) => fileURLToPath(new URL(module, import.meta.url));
await runWorkerProcess({ ...workersOptionsOf(process.env), computeEntry: path('./compute.ts'), workflowInterceptorModules: [path('./shortHeartbeat.ts')] });
process.exit(0);
