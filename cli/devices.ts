// What devices do in a second, for `saeflow plan`. Measured where we could measure; elsewhere data sheets times a share
// that matrix products of these sizes usually reach. An estimate is a floor of the time, good to a factor of two.
import { availableParallelism } from 'node:os';

export interface Device {
  name: string;
  /** Floating-point operations a second, float32 or what stands in for it, by kind of work. */
  transformerFlops: number;
  saeFlops: number;
  /** Bytes of activations read or written a second, encoding included. */
  diskBytesPerSecond: number;
  /** Bytes of text tokenized a second. */
  textBytesPerSecond: number;
  reason: string;
}

// Measured on 2 cores (AMD EPYC, AVX2) with native TensorFlow 2.21: a step of the monosemantic transformer on 8 × 1,024
// tokens takes 2.24 s for 333 GFLOP, an SAE step 512 → 4,096 on 8,192 vectors 0.858 s for 172 GFLOP.
const measuredCores = 2;
const measuredTransformerFlops = 148e9;
const measuredSaeFlops = 200e9;
// Parquet writing 741–855 MB/s on tmpfs; 20 MB/s of the demo corpus tokenized a core (npm run -s bench -- tokenize).
const measuredDiskBytesPerSecond = 750e6;
const tokenizedBytesPerCore = 20e6;

// TF32 tensor cores, dense: A100 SXM 156, H100 SXM 495, RTX 4090 83 TFLOP/s by NVIDIA's data sheets, of which 40 % is a
// usual share. The small matrices of a width-128 transformer reach less. NVMe disks and 16 cores beside each.
const shareReached = 0.4;
const gpuDiskBytesPerSecond = 1.5e9;
const gpuHostCores = 16;

/** The devices a plan names: this machine first. */
export function knownDevices(cores: number = availableParallelism()): Device[] {
  const perCore = cores / measuredCores;
  return [
    {
      name: `this machine's ${cores} cores`,
      transformerFlops: measuredTransformerFlops * perCore,
      saeFlops: measuredSaeFlops * perCore,
      diskBytesPerSecond: measuredDiskBytesPerSecond,
      textBytesPerSecond: tokenizedBytesPerCore * cores,
      reason: `measured on ${measuredCores} cores${cores === measuredCores ? '' : ', scaled by their number'}`,
    },
    gpu('RTX 4090', 83e12),
    gpu('A100', 156e12),
    gpu('H100', 495e12),
  ];
}

function gpu(name: string, peakFlops: number): Device {
  const flops = peakFlops * shareReached;
  return {
    name,
    transformerFlops: flops,
    saeFlops: flops,
    diskBytesPerSecond: gpuDiskBytesPerSecond,
    textBytesPerSecond: tokenizedBytesPerCore * gpuHostCores,
    reason: `${shareReached * 100} % of ${peakFlops / 1e12} TFLOP/s TF32, disks of ${gpuDiskBytesPerSecond / 1e9} GB/s, ${gpuHostCores} cores for tokenizing`,
  };
}
