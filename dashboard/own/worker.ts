// The worker in which the model runs, so that the page goes on answering while it computes. One request after the other.
import { UserError } from '../../schemas/errors.ts';
import { startBackend } from './backends.ts';
import { LoadedModel } from './loadedModel.ts';
import type { FromWorker, ToWorker } from './protocol.ts';

let model: LoadedModel | undefined;
let turn: Promise<void> = Promise.resolve();

self.addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  turn = turn.then(() => answer(data)).catch((error: unknown) => {
    const remedy = error instanceof UserError ? error.remedy : 'Reload the page, choose another backend, or export the dashboard again.';
    send({ type: 'failed', message: error instanceof Error ? error.message : String(error), remedy });
  });
});

async function answer(request: ToWorker): Promise<void> {
  const startedMs = performance.now();
  const ms = () => performance.now() - startedMs;
  if (request.type === 'load') {
    const { backend, refused } = await startBackend(request.choice, new URL('./', self.location.href).href);
    model = await LoadedModel.load(request, (loaded, total) => send({ type: 'progress', loaded, total }));
    send({ type: 'ready', backend, refused });
    return;
  }
  if (model === undefined) throw new Error('the model is not loaded');
  if (request.type === 'read') {
    const read = await model.read(request.text);
    send({ type: 'read', ...read, ms: ms() });
  } else {
    const next = await model.next(request.position, request.change);
    send({ type: 'next', position: request.position, ...next, ms: ms() });
  }
}

function send(message: FromWorker): void {
  self.postMessage(message);
}
