// Whole configurations by name. A preset says only what differs from the schema's defaults; each number has its reason
// beside it in the preset's file.
import type { PipelineInput } from '../schemas/config.ts';
import { demo } from './demo.ts';
import { monosemantic } from './monosemantic.ts';
import { small } from './small.ts';
import { tiny } from './tiny.ts';

export const presets = { tiny, demo, small, monosemantic } satisfies Record<string, PipelineInput>;
export type PresetName = keyof typeof presets;

/** What an input that names no preset is merged onto. */
export const defaultPreset: PresetName = 'demo';
