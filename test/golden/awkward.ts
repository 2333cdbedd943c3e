// awkward.ts: a small random student of awkward shapes, and sequences for it, on which anything that must hold for any
// student is tried. Tests only.
import { parseModelConfig } from '../../src/formats/modelConfig';
import type { Gpu } from '../../src/gpu/device';
import type { Adapter } from '../../src/model/adapter';
import type { Sequence } from '../../src/model/batch';
import { Student } from '../../src/model/student';

/** Grouped queries, odd sizes, tied: C 30, F 37, H 6, Hkv 2, K 10, V 71. All its weights are trainable. */
export function awkwardStudent(gpu: Gpu): Student {
  return Student.initialize(
    gpu,
    parseModelConfig({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: 30,
      intermediate_size: 37,
      num_hidden_layers: 3,
      num_attention_heads: 6,
      num_key_value_heads: 2,
      head_dim: 10,
      vocab_size: 71,
      max_position_embeddings: 64,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      hidden_act: 'silu',
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
    }),
    11,
  );
}

export const TARGETS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
export const LIMITS = { tokens: 64, targets: 64, sequences: 4 };

/** 11 targets. */
export const SEQUENCES: Sequence[] = [
  { ids: [1, 5, 9, 33, 70, 2], labels: [-100, -100, 9, 33, 70, 2] },
  { ids: [1, 4], labels: [-100, 4] },
  { ids: [1, 6, 8, 12, 13, 14, 15, 16, 3, 2], labels: [-100, -100, -100, -100, 13, 14, 15, 16, 3, 2] },
];

export async function withNonZeroB(adapter: Adapter): Promise<Adapter> {
  const flat = await adapter.readParameters();
  adapter.writeParameters(flat.map((x, i) => x + 0.05 * Math.sin(i)));
  return adapter;
}
