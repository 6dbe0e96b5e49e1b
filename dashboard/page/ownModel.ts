// The page's end of the worker in which the model runs: started when it is first needed, one question of a kind at a
// time, and of those that came meanwhile only the last, because a reader types faster than a model reads.
import type { BackendChoice, FromWorker, NextRequest, NextTokens, ReadRequest, Ready, TextRead, ToWorker } from '../own/protocol.ts';
import type { SiteModel, Vocabulary } from '../../schemas/dashboard.ts';

export interface OwnModelEvents {
  onProgress(loaded: number, total: number): void;
  onReady(ready: Ready): void;
  onRead(read: TextRead): void;
  onNext(next: NextTokens): void;
  onFailed(message: string, remedy: string): void;
}

export class OwnModel {
  readonly #worker: Worker;
  readonly #events: OwnModelEvents;
  /** Sent and not yet answered. */
  #asked: ToWorker | undefined;
  #waiting: { read?: ReadRequest; next?: NextRequest } = {};

  constructor(choice: BackendChoice, config: SiteModel, vocabulary: Vocabulary, events: OwnModelEvents, signal: AbortSignal) {
    this.#events = events;
    this.#worker = new Worker(new URL('own/worker.js', document.baseURI), { type: 'module' });
    this.#worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => this.#hear(data));
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      events.onFailed(`own/worker.js: ${event.message || 'it does not start'}`, 'Copy the whole site folder, own/ included, beside index.html, and use a browser of 2023 or later.');
    });
    signal.addEventListener('abort', () => this.end());
    this.#send({ type: 'load', choice, config, vocabulary, modelUrl: modelUrl() });
  }

  /** Asks for the activations on a text. */
  read(text: string): void {
    this.#waiting = { read: { type: 'read', text } };
    this.#sendNext();
  }

  /** Asks for the next token; a question about a text before the last one read is dropped. */
  next(request: Omit<NextRequest, 'type'>): void {
    this.#waiting.next = { type: 'next', ...request };
    this.#sendNext();
  }

  end(): void {
    this.#worker.terminate();
  }

  #hear(message: FromWorker): void {
    if (message.type === 'progress') return this.#events.onProgress(message.loaded, message.total);
    this.#asked = undefined;
    if (message.type === 'ready') this.#events.onReady(message);
    else if (message.type === 'failed') this.#events.onFailed(message.message, message.remedy);
    // what is out of date by now would only flicker
    else if (this.#waiting.read === undefined) {
      if (message.type === 'read') this.#events.onRead(message);
      else this.#events.onNext(message);
    }
    this.#sendNext();
  }

  #sendNext(): void {
    if (this.#asked !== undefined) return;
    const { read, next } = this.#waiting;
    const request = read ?? next;
    if (request === undefined) return;
    this.#waiting = read === undefined ? {} : { ...(next === undefined ? {} : { next }) };
    this.#send(request);
  }

  #send(request: ToWorker): void {
    this.#asked = request;
    this.#worker.postMessage(request);
  }
}

/** Where the model's files are: beside the page. */
export function modelUrl(): string {
  return new URL('model/', document.baseURI).href;
}
