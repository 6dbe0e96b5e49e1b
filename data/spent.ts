// What making an artifact took, added up over its receipts.
import type { Manifest, Receipt } from '../schemas/artifact.ts';

export type Spent = Pick<Manifest['provenance'], 'device' | 'seconds' | 'gpuSeconds' | 'waitSeconds' | 'bytesRead' | 'bytesWritten'>;

/** Computing time and traffic, as the receipts state them; the device is that of the first. */
export function spentOn(receipts: readonly Receipt[]): Spent {
  const sum = (some: readonly Receipt[], of: (receipt: Receipt) => number | undefined) => some.reduce((total, receipt) => total + (of(receipt) ?? 0), 0);
  return {
    device: receipts[0]?.device ?? 'cpu',
    seconds: sum(receipts, ({ seconds }) => seconds),
    gpuSeconds: sum(receipts.filter(({ device }) => device.startsWith('gpu')), ({ seconds }) => seconds),
    ...(receipts.some(({ waitSeconds }) => waitSeconds !== undefined) ? { waitSeconds: sum(receipts, ({ waitSeconds }) => waitSeconds) } : {}),
    bytesRead: sum(receipts, ({ bytesRead }) => bytesRead),
    bytesWritten: sum(receipts, ({ bytesWritten }) => bytesWritten),
  };
}
