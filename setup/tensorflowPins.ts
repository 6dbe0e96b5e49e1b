// Which libtensorflow is used, from which packages, and their SHA-256: nothing unpinned is ever loaded.
// TensorFlow.js names 2.9.1 (2022, CUDA 11); 2.21.0 has the same C interface, current kernels and CUDA 12.

/** `wasm` means: build nothing, run on TensorFlow.js's WASM backend. */
export type TensorflowVariant = 'cpu' | 'cuda' | 'wasm';

/** A package file that holds libtensorflow. */
export interface TensorflowArchive {
  /** File name as published. */
  file: string;
  sha256: string;
  /** For the progress line; the CUDA and ARM wheels' are rounded. */
  bytes: number;
  /** Folder inside the archive that holds the two libraries. */
  libraries: string;
  source: { kind: 'pip'; requirement: string; platforms: string[] } | { kind: 'maven'; artifact: string };
}

/** The version of libtensorflow in every archive below. */
export const libtensorflowVersion = '2.21.0';

/** Built as Node-API 8, so one binding serves every Node from 20.3 up. */
export const nodeApiVersion = 8;

/** Files copied out of an archive's library folder; the names after them are what the linker looks for. */
export const libraryFiles = [
  ['libtensorflow_cc.so.2', 'libtensorflow.so'],
  ['libtensorflow_framework.so.2', 'libtensorflow_framework.so'],
] as const;

const x64Platforms = ['manylinux_2_27_x86_64', 'manylinux2014_x86_64', 'manylinux_2_17_x86_64'];

function wheel(project: string, platform: string, sha256: string, bytes: number, platforms: string[]): TensorflowArchive {
  return {
    file: `${project.replace('-', '_')}-${libtensorflowVersion}-cp311-cp311-${platform}.whl`,
    sha256,
    bytes,
    libraries: 'tensorflow',
    source: { kind: 'pip', requirement: `${project}==${libtensorflowVersion}`, platforms },
  };
}

function jar(classifier: string, sha256: string, bytes: number): TensorflowArchive {
  return {
    file: `tensorflow-core-native-1.2.0-${classifier}.jar`,
    sha256,
    bytes,
    libraries: `org/tensorflow/internal/c_api/${classifier}`,
    source: { kind: 'maven', artifact: `org.tensorflow:tensorflow-core-native:1.2.0:jar:${classifier}` },
  };
}

/** Archives by platform and variant, in the order in which they are tried. */
export const tensorflowArchives: Record<string, Partial<Record<'cpu' | 'cuda', TensorflowArchive[]>>> = {
  'linux-x64': {
    cpu: [
      wheel('tensorflow-cpu', x64Platforms[0]!, '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c', 273_829_956, x64Platforms),
      jar('linux-x86_64', 'e6fc5afb04092f3427408f1947ec1e5832ed196009acfc088b4d38a516b708bd', 192_265_303),
    ],
    cuda: [
      wheel('tensorflow', x64Platforms[0]!, '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124', 572_000_000, x64Platforms),
      jar('linux-x86_64-gpu', 'e2de3e68c0bdd4bb23cfd61b28e705fa426f719566c246530b231d13da5f10d9', 427_288_061),
    ],
  },
  'linux-arm64': {
    cpu: [
      wheel('tensorflow', 'manylinux_2_27_aarch64', '4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c', 270_000_000, [
        'manylinux_2_27_aarch64',
        'manylinux2014_aarch64',
        'manylinux_2_17_aarch64',
      ]),
    ],
  },
};

/** CUDA 12 run-time libraries in pip's hash-checking format: TensorFlow 2.21's own `and-cuda` set, at fixed versions. */
export const cudaRequirements = `
nvidia-cublas-cu12==12.9.3.13 --hash=sha256:d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72
nvidia-cuda-cupti-cu12==12.8.90 --hash=sha256:ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182
nvidia-cuda-nvcc-cu12==12.9.86 --hash=sha256:5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0
nvidia-cuda-nvrtc-cu12==12.9.86 --hash=sha256:210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4
nvidia-cuda-runtime-cu12==12.9.79 --hash=sha256:25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3
nvidia-cudnn-cu12==9.28.0.42 --hash=sha256:9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375
nvidia-cufft-cu12==11.4.1.4 --hash=sha256:c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28
nvidia-curand-cu12==10.3.10.19 --hash=sha256:49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e
nvidia-cusolver-cu12==11.7.5.82 --hash=sha256:15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88
nvidia-cusparse-cu12==12.5.10.65 --hash=sha256:73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78
nvidia-nccl-cu12==2.32.3 --hash=sha256:bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c
nvidia-nvjitlink-cu12==12.9.86 --hash=sha256:e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9
`;

/** Disk needed while setting up (download, unpacked libraries, result), with room to spare. */
export const neededDiskBytes = { cpu: 3e9, cuda: 14e9 } as const;
