// loraSizes.ts: the sizes that the first LoRA widget offers: the bundled student's and Llama-2-7B's, as their configs have them.
import type { LORA_SIZES } from '../../../../config/chapterWidgets';
import type { LayerShape } from './lowRank';

type NamedSize = Exclude<(typeof LORA_SIZES)[number], 'custom'>;

const LLAMA_WIDTH = 4096;
const LLAMA_HIDDEN = 11008;
const LLAMA_LAYERS = 32;

export const SIZES: Readonly<Record<NamedSize, { label: string; layers: readonly LayerShape[] }>> = {
  'lesson-q': {
    label: 'The bundled student, one q_proj: 128 × 128',
    layers: [{ outputs: 128, inputs: 128, count: 1 }],
  },
  'llama-7b-q': {
    label: 'Llama-2-7B, one q_proj: 4096 × 4096',
    layers: [{ outputs: LLAMA_WIDTH, inputs: LLAMA_WIDTH, count: 1 }],
  },
  'llama-7b-down': {
    label: 'Llama-2-7B, one down_proj: 4096 × 11008',
    layers: [{ outputs: LLAMA_WIDTH, inputs: LLAMA_HIDDEN, count: 1 }],
  },
  'llama-7b-all': {
    label: 'Llama-2-7B, all 224 linear layers of its blocks',
    layers: [
      { outputs: LLAMA_WIDTH, inputs: LLAMA_WIDTH, count: 4 * LLAMA_LAYERS }, // q, k, v, o
      { outputs: LLAMA_HIDDEN, inputs: LLAMA_WIDTH, count: 2 * LLAMA_LAYERS }, // gate, up
      { outputs: LLAMA_WIDTH, inputs: LLAMA_HIDDEN, count: LLAMA_LAYERS }, // down
    ],
  },
};
