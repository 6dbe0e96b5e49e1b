// Held-out texts of different kinds with every activation on them: choose a text, walk through its tokens, colour it by
// any feature.
import type { TextList } from '../../schemas/dashboard.ts';
import type { PageContext, View } from './context.ts';
import { el } from './dom.ts';
import { FeatureTexts } from './featureTexts.ts';
import { reading } from './reading.ts';
import { textHref } from './router.ts';
import { DataError } from './siteData.ts';
import { TokenLabels } from './tokenLabels.ts';
import { visiblePieces } from './tokens.ts';

/** As corpora name it: en, eng, English, en-GB. */
const english = /^en(g|glish)?($|[-_])/i;

/** Renders one of the example texts, the others beside it; where none is asked for, one that most readers can read. */
export async function textsView({ data, memory }: PageContext, asked: number | undefined, parameters: URLSearchParams): Promise<View> {
  const [list, index, vocabulary, texts] = await Promise.all([data.texts(), data.probeIndex(), data.vocabulary(), FeatureTexts.open(data)]);
  const text = asked ?? Math.max(0, list.findIndex(({ lang }) => english.test(lang)));
  const entry = list[text];
  if (entry === undefined) throw new DataError(`There is no example text ${text}: this run has texts 0 to ${list.length - 1}`, 'Choose one from the list of texts.', 'No such text');
  const page = await data.text(entry.file);
  const colour = parameters.get('feature');
  const links: { link: HTMLAnchorElement; number: number }[] = [];
  const shown = reading({
    sources: { index, labels: new TokenLabels(vocabulary), texts },
    label: `Text ${text}, ${nameOf(entry)}`,
    ...(colour !== null && /^\d+$/.test(colour) ? { feature: Number(colour) } : {}),
    onFeature: (feature, byReader) => {
      // the next text is coloured by the same feature, where the reader chose it
      for (const { link, number } of links) link.href = textHref(number, byReader ? feature : undefined);
      memory.textsHref = textHref(text, byReader ? feature : undefined);
      history.replaceState(null, '', memory.textsHref);
    },
  });
  const nav = el('nav', { class: 'text-list', 'aria-label': 'Example texts' }, el('ol', {}, ...list.map((one, number) => listItem(one, number, number === text, links))));
  const element = el(
    'div',
    { class: 'texts-view' },
    el('header', { class: 'texts-header' }, el('h1', { tabindex: -1 }, 'Example texts'), el('p', { class: 'hint' }, 'Held-out texts, which neither the model nor the autoencoder was trained on. Point at a token, or walk with the arrow keys, to see what fires there; choose a feature to colour the text by it.')),
    nav,
    shown.main,
    el('aside', { 'aria-label': 'Features that fire' }, shown.lists),
  );
  shown.show({ ...page }, 1);
  const attached = (): void => {
    // within its own box only: the page stays at its top
    const current = nav.querySelector<HTMLElement>('[aria-current]');
    if (current !== null) nav.scrollTop = current.offsetTop - nav.offsetTop - nav.clientHeight / 3;
  };
  return { title: `Example text ${text}`, element, attached };
}

function listItem(entry: TextList[number], number: number, current: boolean, links: { link: HTMLAnchorElement; number: number }[]): HTMLElement {
  const link = el('a', { href: textHref(number), 'aria-current': current ? 'true' : undefined }, el('b', {}, nameOf(entry)), ' ', el('span', { class: 'title', dir: 'auto' }, ...visible(entry.title)));
  links.push({ link, number });
  return el('li', {}, link);
}

function visible(title: string): (string | HTMLElement)[] {
  return visiblePieces(title).map((piece) => (piece.mark ? el('span', { class: 'mark' }, piece.text) : piece.text));
}

function nameOf({ lang, source }: TextList[number]): string {
  return [lang, source].filter((part) => part !== '').join(' · ') || 'unlabelled';
}
