// The index as the page fetches it: one binary file a column. As JSON, 131,072 features are 12 MB before anything can be
// shown; packed, the columns of the first view are 1.8 MB, and the others come when they are looked at.
import { packedIndex, type FeatureIndex, type PackedColumn, type PackedIndex } from '../schemas/dashboard.ts';
import { toFloat16 } from './float16.ts';

export interface PackedFile {
  path: string;
  bytes: Uint8Array;
}

const folder = 'site/data/columns';

/** The files of site/data/columns/: header.json and a file for each column of the index. */
export function packIndex(index: FeatureIndex): PackedFile[] {
  const files: PackedFile[] = [];
  const put = (name: string, type: PackedColumn['type'], values: readonly number[], offset = 0, categories?: string[]): PackedColumn => {
    const file = `${name}.bin`;
    files.push({ path: `${folder}/${file}`, bytes: littleEndian(type, offset === 0 ? values : values.map((value) => value - offset)) });
    return { file, type, offset, ...(categories === undefined ? {} : { categories }) };
  };
  const languages = [...new Set(index.topLang)].sort();
  const numberOf = new Map(languages.map((language, number) => [language, number]));
  const columns: PackedIndex['columns'] = {
    density: put('density', 'float32', index.density),
    maxActivation: put('maxActivation', 'float32', index.maxActivation),
    // -1 stands for a dead feature
    topToken: put('topToken', smallestType(index.topToken, -1), index.topToken, -1),
    topLang: put('topLang', smallestType([languages.length - 1]), index.topLang.map((language) => numberOf.get(language)!), 0, languages),
    // shown as whole percent
    topLangShare: put('topLangShare', 'float16', index.topLangShare),
    topExamples: put('topExamples', smallestType(index.topExamples), index.topExamples),
    ablation: put('ablation', 'float32', index.ablation),
    lossShare: put('lossShare', 'float32', index.lossShare),
    probe: put('probe', smallestType(index.probe, -1), index.probe, -1),
    probeF1: put('probeF1', 'float32', index.probeF1),
  };
  const header: PackedIndex = { features: index.features, columns };
  return [{ path: `${folder}/header.json`, bytes: Buffer.from(JSON.stringify(packedIndex.parse(header))) }, ...files];
}

function smallestType(values: readonly number[], offset = 0): 'uint8' | 'uint16' | 'uint32' {
  const largest = values.reduce((most, value) => Math.max(most, value - offset), 0);
  return largest < 1 << 8 ? 'uint8' : largest < 1 << 16 ? 'uint16' : 'uint32';
}

function littleEndian(type: PackedColumn['type'], values: readonly number[]): Uint8Array {
  const numbers = typed(type, values);
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function typed(type: PackedColumn['type'], values: readonly number[]): Float32Array | Uint8Array | Uint16Array | Uint32Array {
  switch (type) {
    case 'float32':
      return Float32Array.from(values);
    case 'float16':
      return toFloat16(Float32Array.from(values));
    case 'uint8':
      return Uint8Array.from(values);
    case 'uint16':
      return Uint16Array.from(values);
    case 'uint32':
      return Uint32Array.from(values);
  }
}
