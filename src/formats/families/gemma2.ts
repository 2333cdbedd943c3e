// gemma2.ts: Gemma 2: norms of 1 + w before and after each branch, scaled embeddings, GeGLU, soft caps, windows in every
// other layer. Source: Gemma Team 2024, arXiv:2408.00118; transformers 4.57, models/gemma2 (defaults, modeling_gemma2.py).
import type { JsonFields } from '../jsonFields';
import { readCommon, readWindows, type Family } from './family';

/** A cap: absent is the family's, null is none. */
function softcap(fields: JsonFields, key: string, fallback: number): number | undefined {
  const value = fields.json[key];
  if (value === undefined) return fallback;
  return value === null ? undefined : fields.positive(key);
}

export const gemma2: Family = {
  modelType: 'gemma2',
  architecture: 'Gemma2ForCausalLM',
  read: (fields) => {
    const common = readCommon(fields, {
      architecture: 'Gemma2ForCausalLM',
      kvHeads: 4,
      headSize: 256,
      tied: true,
      bos: 2,
      eos: 1,
      pad: 0,
    });
    // `hidden_activation` decides; `hidden_act` is an older name that the files still have.
    for (const key of ['hidden_activation', 'hidden_act']) fields.only(key, 'gelu_pytorch_tanh');
    const scalar = fields.has('query_pre_attn_scalar') ? fields.positive('query_pre_attn_scalar') : 256;
    const window = fields.json['sliding_window'] === null ? undefined : fields.size('sliding_window', 4096);
    return {
      ...common,
      normOffset: 1,
      branchNorms: true,
      biases: fields.flag('attention_bias', false) ? ['q_proj', 'k_proj', 'v_proj', 'o_proj'] : [],
      activation: 'gelu-tanh',
      embeddingScale: Math.fround(Math.sqrt(common.hiddenSize)),
      attentionScale: scalar ** -0.5,
      attentionSoftcap: softcap(fields, 'attn_logit_softcapping', 50),
      finalSoftcap: softcap(fields, 'final_logit_softcapping', 30),
      windows: readWindows(fields, common.layers, window, (layer) => layer % 2 === 0),
    };
  },
};
