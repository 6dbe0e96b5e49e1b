// The page's worker asked directly, in a real browser: what it answers, number for number.
import type { Page } from 'playwright-core';
import type { BackendChoice, FromWorker, NextTokens, Ready, TextRead, ToWorker } from '../../dashboard/own/protocol.ts';

/** Loads the model of the page's site in a worker of its own and asks one question after the other. */
export async function askWorker(page: Page, choice: BackendChoice, requests: ToWorker[]): Promise<{ ready: Ready; answers: (TextRead | NextTokens)[]; loadMs: number }> {
  const result = await page.evaluate(
    async ({ choice, requests }) => {
      const json = async (path: string): Promise<unknown> => (await fetch(path)).json();
      const load = { type: 'load', choice, config: await json('model/config.json'), vocabulary: await json('data/vocabulary.json'), modelUrl: new URL('model/', document.baseURI).href };
      const worker = new Worker('own/worker.js', { type: 'module' });
      const ask = (request: unknown): Promise<FromWorker> =>
        new Promise((resolve, reject) => {
          worker.onerror = (event) => reject(new Error(event.message));
          worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
            if (data.type === 'failed') reject(new Error(`${data.message} ${data.remedy}`));
            else if (data.type !== 'progress') resolve(data);
          };
          worker.postMessage(request);
        });
      const startedMs = performance.now();
      const ready = await ask(load);
      const loadMs = performance.now() - startedMs;
      const answers: FromWorker[] = [];
      for (const request of requests) answers.push(await ask(request));
      worker.terminate();
      return { ready, answers, loadMs };
    },
    { choice, requests },
  );
  return result as { ready: Ready; answers: (TextRead | NextTokens)[]; loadMs: number };
}
