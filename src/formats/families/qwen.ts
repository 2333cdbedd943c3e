// qwen.ts: Qwen2 and 2.5 (biases of q, k and v) and Qwen3 (queries and keys normalised per head), whose windows begin at a
// layer. Source: transformers 4.57, models/qwen2 and models/qwen3 (configuration_*.py for defaults, modeling_*.py).
import type { JsonFields } from '../jsonFields';
import { expectSilu, readCommon, readWindows, refuseSoftcaps, type Decoder, type Family } from './family';

/** `sliding_window` counts only with `use_sliding_window`, and from layer `max_window_layers` on. */
function windows(fields: JsonFields, layers: number): Decoder['windows'] {
  const used = fields.flag('use_sliding_window', false) && fields.json['sliding_window'] !== null;
  const first = fields.json['max_window_layers'] === 0 ? 0 : fields.size('max_window_layers', 28);
  const window = used ? fields.size('sliding_window', 4096) : undefined;
  return readWindows(fields, layers, window, (layer) => layer >= first);
}

export const qwen2: Family = {
  modelType: 'qwen2',
  architecture: 'Qwen2ForCausalLM',
  read: (fields) => {
    const common = readCommon(fields, {
      architecture: 'Qwen2ForCausalLM',
      kvHeads: 32,
      tied: false,
      bos: undefined,
      eos: undefined,
    });
    expectSilu(fields);
    refuseSoftcaps(fields);
    fields.only('attention_bias', true);
    fields.only('mlp_bias', false);
    return { ...common, biases: ['q_proj', 'k_proj', 'v_proj'], windows: windows(fields, common.layers) };
  },
};

export const qwen3: Family = {
  modelType: 'qwen3',
  architecture: 'Qwen3ForCausalLM',
  read: (fields) => {
    const common = readCommon(fields, {
      architecture: 'Qwen3ForCausalLM',
      kvHeads: 32,
      headSize: 128,
      tied: false,
      bos: undefined,
      eos: undefined,
    });
    expectSilu(fields);
    refuseSoftcaps(fields);
    fields.only('mlp_bias', false);
    return {
      ...common,
      qkNorms: true,
      biases: fields.flag('attention_bias', false) ? ['q_proj', 'k_proj', 'v_proj', 'o_proj'] : [],
      windows: windows(fields, common.layers),
    };
  },
};
