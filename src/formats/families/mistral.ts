// mistral.ts: Mistral 7B and its kin: Llama with a sliding window, and a head size of its own in the later ones.
// Source: Jiang et al. 2023, arXiv:2310.06825; transformers 4.57, models/mistral (defaults of configuration_mistral.py).
import { expectSilu, readCommon, readWindows, refuseSoftcaps, type Family } from './family';

export const mistral: Family = {
  modelType: 'mistral',
  architecture: 'MistralForCausalLM',
  read: (fields) => {
    const defaults = { architecture: 'MistralForCausalLM', kvHeads: 8, tied: false, bos: 1, eos: 2 };
    const common = readCommon(fields, defaults);
    expectSilu(fields);
    refuseSoftcaps(fields);
    fields.only('attention_bias', false);
    fields.only('mlp_bias', false);
    fields.only('use_sliding_window', true);
    // Absent is 4096, null is none.
    const window = fields.json['sliding_window'] === null ? undefined : fields.size('sliding_window', 4096);
    return { ...common, windows: readWindows(fields, common.layers, window, () => true) };
  },
};
