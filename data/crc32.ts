// CRC-32 as Parquet's pages carry it (gzip's polynomial): the processor's own where it is registered, at memory speed;
// else zlib's where Node has it (20.15, 22.2 and newer), else a table.
import * as zlib from 'node:zlib';
import { digestKernel } from './digestKernel.ts';

/** Below this a call into the kernel costs more than it saves. */
const fewBytes = 256;

const native = (zlib as { crc32?: typeof zlib.crc32 }).crc32;

/** The CRC-32 of some bytes, in [0, 2³²). */
export function crc32(bytes: Uint8Array): number {
  const kernel = bytes.length < fewBytes ? undefined : digestKernel();
  if (kernel !== undefined) return kernel.crc32(bytes);
  return native === undefined ? crc32Portable(bytes) : native(bytes);
}

/** `crc32` on any Node. */
export function crc32Portable(bytes: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}

const polynomial = 0xedb88320;
const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let entry = byte;
  for (let bit = 0; bit < 8; bit++) entry = entry & 1 ? (entry >>> 1) ^ polynomial : entry >>> 1;
  return entry;
});
