// llama.ts: Llama 1 to 3.3 and what is built like them (TinyLlama, SmolLM2): RMSNorm, rotary positions, grouped-query
// attention, SwiGLU. Source: transformers 4.57, models/llama/configuration_llama.py (defaults), modeling_llama.py.
import type { LinearName } from '../../base/linearNames';
import { expectSilu, readCommon, readWindows, refuseSoftcaps, type Family } from './family';

export const llama: Family = {
  modelType: 'llama',
  architecture: 'LlamaForCausalLM',
  read: (fields) => {
    const common = readCommon(fields, { architecture: 'LlamaForCausalLM', tied: false, bos: 1, eos: 2 });
    expectSilu(fields);
    refuseSoftcaps(fields);
    // transformers' Llama ignores both; a file that has a window was made for something that does not.
    if (fields.json['use_sliding_window'] !== false) fields.only('sliding_window');
    const biases: LinearName[] = [];
    if (fields.flag('attention_bias', false)) biases.push('q_proj', 'k_proj', 'v_proj', 'o_proj');
    if (fields.flag('mlp_bias', false)) biases.push('gate_proj', 'up_proj', 'down_proj');
    return { ...common, biases, windows: readWindows(fields, common.layers, undefined, () => false) };
  },
};
