// The reader's own text: tokenizer, model and SAE run in this browser, in a worker. The model is fetched when it is
// needed: at once where it is small or kept from before, else when the reader begins.
import { isKept, modelFilesOf } from '../own/modelCache.ts';
import { backends, type BackendChoice, type Ready, type TextRead } from '../own/protocol.ts';
import type { PageContext, View } from './context.ts';
import { el } from './dom.ts';
import { FeatureTexts } from './featureTexts.ts';
import { formatNumber, formatQuantity } from './format.ts';
import { nextTokenPanel } from './nextTokens.ts';
import { modelUrl, OwnModel } from './ownModel.ts';
import { reading } from './reading.ts';
import { ownHref } from './router.ts';
import { sampleTexts } from './sampleTexts.ts';
import { TokenLabels } from './tokenLabels.ts';

const typingPauseMs = 200;
/** A model up to this size is fetched without being asked for. */
const smallModelBytes = 8e6;
const backendNames: Record<BackendChoice, string> = { auto: 'Fastest', webgpu: 'WebGPU', webgl: 'WebGL', wasm: 'WebAssembly' };

/** Renders the page for the reader's own text. */
export async function ownView({ data, signal }: PageContext, parameters: URLSearchParams): Promise<View> {
  const [config, index, vocabulary, texts] = await Promise.all([data.model(), data.probeIndex(), data.vocabulary(), FeatureTexts.open(data)]);
  const labels = new TokenLabels(vocabulary);
  const { files, bytes } = modelFilesOf(config);
  let choice = choiceOf(parameters.get('backend'));
  let loading: AbortController | undefined;
  let model: OwnModel | undefined;
  let timer = 0;
  let ready: Ready | undefined;
  let readMs = 0;
  signal.addEventListener('abort', () => loading?.abort());

  const input = el('textarea', { id: 'own-text', rows: 4, spellcheck: 'false', dir: 'auto', oninput: typed, onfocus: begin });
  input.value = parameters.get('text') ?? sampleTexts[0]!.text;
  const samples = el('div', { class: 'samples', role: 'group', 'aria-label': 'Sample texts' }, ...sampleTexts.map(({ name, text }) => el('button', { type: 'button', onclick: () => use(text) }, name)));
  const backendSelect = el('select', { id: 'backend', onchange: () => choose(backendSelect.value as BackendChoice) }, ...(['auto', ...backends] as const).map((name) => el('option', { value: name, selected: name === choice }, backendNames[name])));
  const status = el('p', { class: 'own-status', role: 'status' });
  const progress = el('progress', { 'aria-label': 'Model fetched', max: bytes, value: 0, hidden: true });
  const loadButton = el('button', { type: 'button', onclick: begin }, `Load the model (${megabytes(bytes)})`);
  const notice = el('p', { class: 'notice', hidden: true });
  const failure = el('div', { class: 'notice error', role: 'alert', hidden: true });
  const asked = parameters.get('feature');
  const shown = reading({
    sources: { index, labels, texts },
    label: 'Your text as tokens',
    ...(asked !== null && /^\d+$/.test(asked) ? { feature: Number(asked) } : {}),
    onCursor: askNext,
    onFeature: (feature) => {
      panel.setFeature(feature);
      remember();
      askNext();
    },
  });
  const panel = nextTokenPanel(labels, askNext);
  const result = el('div', { class: 'own-result', hidden: true }, shown.main, el('aside', { 'aria-label': 'Features that fire' }, shown.lists), panel.element);
  const element = el(
    'div',
    { class: 'own-view' },
    el('h1', { tabindex: -1 }, 'Your own text'),
    el('p', { class: 'hint' }, 'Tokenizer, model and autoencoder run in this browser: what you type stays here. An end of text stands before it, as in training.'),
    el('div', { class: 'own-input' }, el('label', { for: 'own-text' }, 'Text'), input, samples),
    el('div', { class: 'own-state' }, loadButton, progress, status, el('span', { class: 'backend' }, el('label', { for: 'backend' }, 'Runs on'), backendSelect)),
    notice,
    failure,
    result,
  );
  const attached = (): void => {
    void isKept(modelUrl(), files).then((kept) => {
      if (!signal.aborted && (kept || bytes <= smallModelBytes)) begin();
    });
  };
  return { title: 'Your own text', element, attached };

  function begin(): void {
    if (model !== undefined) return;
    loading = new AbortController();
    loadButton.hidden = true;
    failure.hidden = true;
    progress.hidden = false;
    progress.value = 0;
    status.textContent = 'Starting…';
    model = new OwnModel(choice, config, vocabulary, { onProgress, onReady, onRead, onNext: (next) => panel.show(next), onFailed }, loading.signal);
  }

  function choose(next: BackendChoice): void {
    choice = next;
    remember();
    loading?.abort();
    model = undefined;
    ready = undefined;
    begin();
  }

  function onProgress(loaded: number, total: number): void {
    progress.value = loaded;
    status.textContent = `Fetching the model: ${megabytes(loaded)} of ${megabytes(total)}`;
  }

  function onReady(message: Ready): void {
    ready = message;
    progress.hidden = true;
    if (message.refused.length > 0) {
      notice.textContent = `${message.refused.map(({ backend, reason }) => `${backendNames[backend]}: ${reason}`).join('. ')}. So the model runs on ${backendNames[message.backend]}.`;
    }
    notice.hidden = message.refused.length === 0;
    status.textContent = 'Reading…';
    read();
  }

  function onRead(text: TextRead): void {
    readMs = text.ms;
    result.hidden = false;
    shown.show(text);
    const cut = text.leftOut === 0 ? '' : `; ${formatQuantity(text.leftOut, 'token')} beyond the model's context of ${config.architecture.contextLength} left out`;
    status.textContent = `${formatQuantity(text.tokens.length - 1, 'token')} in ${formatNumber(readMs)} ms on ${backendNames[ready?.backend ?? 'wasm']}${cut}`;
    element.dataset.read = input.value === '' ? 'empty' : 'text';
  }

  function onFailed(message: string, remedy: string): void {
    failure.replaceChildren(el('p', {}, message), el('p', {}, remedy));
    failure.hidden = false;
    progress.hidden = true;
    status.textContent = '';
    if (ready !== undefined) return;
    // it never ran: the reader may try again, or with another backend
    loading?.abort();
    model = undefined;
    loadButton.hidden = false;
  }

  function typed(): void {
    begin();
    clearTimeout(timer);
    timer = window.setTimeout(read, typingPauseMs);
  }

  function use(text: string): void {
    input.value = text;
    begin();
    read();
  }

  function read(): void {
    if (signal.aborted) return;
    remember();
    if (ready !== undefined) model?.read(input.value);
  }

  function askNext(): void {
    const { feature } = shown;
    if (ready === undefined) return;
    model?.next({ position: shown.cursor, ...(feature === undefined || panel.factor === 1 ? {} : { change: { feature, factor: panel.factor } }) });
  }

  /** The address says what is seen, so that it can be shared. A long text would not fit one. */
  function remember(): void {
    const text = input.value.length <= 1_000 ? input.value : '';
    history.replaceState(null, '', ownHref({ text, ...(shown.feature === undefined ? {} : { feature: shown.feature }), ...(choice === 'auto' ? {} : { backend: choice }) }));
  }
}

function choiceOf(name: string | null): BackendChoice {
  return backends.find((backend) => backend === name) ?? 'auto';
}

function megabytes(bytes: number): string {
  return `${formatNumber(bytes / 1e6)} MB`;
}
