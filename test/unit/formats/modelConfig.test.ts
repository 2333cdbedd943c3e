// Claims about formats/modelConfig.ts: real configs read to the right numbers; whatever the engine does not compute, and
// whatever makes no sense, is refused by key and value.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseModelConfig } from '../../../src/formats/modelConfig';
import { DATA, expectRefusal, GOLDEN, jsonAt, onlyPupilErrors } from './files';

const LLAMA = {
  model_type: 'llama',
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 172,
  vocab_size: 256,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
};

const LLAMA3 = {
  rope_type: 'llama3',
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

describe('parseModelConfig', () => {
  it('llama-tiny', () => {
    const json = jsonAt(`${GOLDEN}/llama-tiny/config.json`);
    expect(parseModelConfig(json)).toEqual({
      modelType: 'llama',
      hiddenSize: 64,
      layers: 2,
      heads: 4,
      kvHeads: 4,
      headSize: 16,
      intermediateSize: 172,
      vocabSize: 256,
      maxPositions: 512,
      rope: { theta: 10_000 },
      rmsNormEps: 1e-5,
      normOffset: 0,
      branchNorms: false,
      qkNorms: false,
      biases: [],
      activation: 'silu',
      embeddingScale: 1,
      attentionScale: 0.25,
      attentionSoftcap: undefined,
      finalSoftcap: undefined,
      windows: [undefined, undefined],
      tiedEmbeddings: false,
      bosTokenId: 1,
      eosTokenIds: [2],
      padTokenId: undefined,
      quantization: undefined,
      raw: json,
    });
  });

  it('a bnb-4bit checkpoint says how it is quantised', () => {
    const config = parseModelConfig(jsonAt(`${GOLDEN}/qlora-llama-tiny-double/hf_bnb4bit/config.json`));
    expect(config.quantization).toEqual({
      method: 'bitsandbytes',
      quantType: 'nf4',
      doubleQuantized: true,
      skippedModules: [],
    });
  });

  it.skipIf(DATA === undefined)('story_llama: grouped heads, tied embeddings (needs PUPIL_DATA)', () => {
    const config = parseModelConfig(jsonAt(`${DATA}/weights/story_llama/config.json`));
    expect(config).toMatchObject({ heads: 8, kvHeads: 4, headSize: 16, tiedEmbeddings: true, rmsNormEps: 1e-6 });
  });

  it('absent keys take the defaults of transformers', () => {
    expect(parseModelConfig(LLAMA)).toMatchObject({
      kvHeads: 4,
      headSize: 16,
      rope: { theta: 10_000 },
      tiedEmbeddings: false,
      bosTokenId: 1,
      eosTokenIds: [2],
    });
  });

  const readings: [string, object, object][] = [
    ['head_dim apart from hidden_size', { head_dim: 24 }, { headSize: 24 }],
    [
      'null head_dim and num_key_value_heads',
      { head_dim: null, num_key_value_heads: null },
      { headSize: 16, kvHeads: 4 },
    ],
    ['one key/value head', { num_key_value_heads: 1 }, { kvHeads: 1 }],
    ['a list of ends, repeated', { eos_token_id: [5, 7, 5] }, { eosTokenIds: [5, 7] }],
    ['no ends', { eos_token_id: null, bos_token_id: null }, { eosTokenIds: [], bosTokenId: undefined }],
    ['pad −1, as early Llama files have it', { pad_token_id: -1 }, { padTokenId: undefined }],
    ['pad 0', { pad_token_id: 0 }, { padTokenId: 0 }],
    ['rope_theta at the top', { rope_theta: 5e5 }, { rope: { theta: 5e5 } }],
    ['rope_parameters', { rope_parameters: { rope_theta: 5e5, rope_type: 'default' } }, { rope: { theta: 5e5 } }],
    ['rope_scaling of type default', { rope_scaling: { type: 'default' } }, { rope: { theta: 10_000 } }],
    ['a window that is not used', { sliding_window: 4096, use_sliding_window: false }, { layers: 2 }],
    [
      'attention_bias and mlp_bias',
      { attention_bias: true, mlp_bias: true },
      { biases: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] },
    ],
    [
      'rope_scaling linear, by its old name',
      { rope_scaling: { type: 'linear', factor: 2 } },
      { rope: { theta: 10_000, scaling: { kind: 'linear', factor: 2 } } },
    ],
    [
      'rope_scaling llama3',
      { rope_theta: 5e5, rope_scaling: LLAMA3 },
      {
        rope: {
          theta: 5e5,
          scaling: {
            kind: 'llama3',
            factor: 32,
            lowFreqFactor: 1,
            highFreqFactor: 4,
            originalMaxPositionEmbeddings: 8192,
          },
        },
      },
    ],
    ['hidden_act swish', { hidden_act: 'swish' }, { layers: 2 }],
  ];
  it.each(readings)('%s', (_claim, change, wanted) => {
    expect(parseModelConfig({ ...LLAMA, ...change })).toMatchObject(wanted);
  });

  const refusals: [object, string[]][] = [
    [{ model_type: 'phi3' }, ['model_type', '"llama"', '"mistral"', '"gemma2"', '"phi3"']],
    [{ model_type: undefined }, ['model_type', 'missing']],
    [{ model_type: 'toString' }, ['model_type', 'toString']],
    [{ architectures: ['LlamaForSequenceClassification'] }, ['architectures', 'LlamaForCausalLM']],
    [{ hidden_act: 'gelu' }, ['hidden_act', '"silu"', '"gelu"']],
    [{ attention_bias: 'yes' }, ['attention_bias', 'true or false', '"yes"']],
    [{ attn_logit_softcapping: 50 }, ['attn_logit_softcapping', '50']],
    [{ final_logit_softcapping: 30 }, ['final_logit_softcapping', '30']],
    [{ embedding_multiplier: 12 }, ['embedding_multiplier', '12']],
    [{ num_local_experts: 8 }, ['num_local_experts', '8']],
    [{ clip_qkv: 8 }, ['clip_qkv', '8']],
    [{ attention_multiplier: 0.5 }, ['attention_multiplier', '0.5']],
    [{ sliding_window: 4096 }, ['sliding_window', '4096']],
    [{ layer_types: ['full_attention', 'sliding_attention'] }, ['layer_types', 'sliding_attention']],
    [{ partial_rotary_factor: 0.5 }, ['partial_rotary_factor', '0.5']],
    [{ rope_scaling: { rope_type: 'llama3', factor: 8 } }, ['rope_scaling', 'low_freq_factor', 'missing']],
    [{ rope_scaling: { ...LLAMA3, high_freq_factor: 1 } }, ['rope_scaling', 'high_freq_factor', 'got 1']],
    [{ rope_scaling: { type: 'linear' } }, ['rope_scaling', 'factor', 'missing']],
    [{ rope_scaling: { type: 'linear', rope_type: 'default' } }, ['rope_scaling', 'type', 'default']],
    [{ rope_scaling: { type: 'dynamic', factor: 2 } }, ['rope_scaling', 'type', 'dynamic']],
    [{ rope_scaling: { rope_type: 'longrope' } }, ['rope_scaling', 'rope_type', 'longrope']],
    [{ rope_parameters: { rope_type: 'yarn' } }, ['rope_parameters', 'rope_type', 'yarn']],
    [{ rope_parameters: { full_attention: { rope_theta: 1 } } }, ['rope_parameters', 'all layers']],
    [{ rope_theta: 1e4, rope_parameters: { rope_theta: 5e5 } }, ['rope_parameters', '10000']],
    [{ rope_theta: 0 }, ['rope_theta', '0']],
    [{ rope_theta: '1e4' }, ['rope_theta', '"1e4"']],
    [{ hidden_size: undefined }, ['hidden_size', 'missing']],
    [{ num_hidden_layers: 0 }, ['num_hidden_layers', 'got 0']],
    [{ num_attention_heads: -4 }, ['num_attention_heads', 'got -4']],
    [{ intermediate_size: 172.5 }, ['intermediate_size', '172.5']],
    [{ vocab_size: '256' }, ['vocab_size', '"256"']],
    [{ vocab_size: 1e15 }, ['vocab_size', '1000000000000000']],
    [{ max_position_embeddings: undefined }, ['max_position_embeddings', 'missing']],
    [{ rms_norm_eps: undefined }, ['rms_norm_eps', 'missing']],
    [{ rms_norm_eps: 0 }, ['rms_norm_eps', 'got 0']],
    [{ num_key_value_heads: 3 }, ['num_key_value_heads', 'divisor', '3']],
    [{ num_key_value_heads: 8 }, ['num_key_value_heads', 'divisor', '8']],
    [{ hidden_size: 66 }, ['hidden_size', 'multiple of num_attention_heads', '66']],
    [{ head_dim: 15 }, ['head_dim', 'even']],
    [{ hidden_size: 60 }, ['hidden_size', 'even head size', '15']],
    [{ eos_token_id: 256 }, ['eos_token_id', '255', '256']],
    [{ eos_token_id: [2, -1] }, ['eos_token_id', '-1']],
    [{ bos_token_id: 'x' }, ['bos_token_id', '"x"']],
    [{ tie_word_embeddings: 'yes' }, ['tie_word_embeddings', '"yes"']],
    [{ quantization_config: { quant_method: 'gptq' } }, ['quantization_config', 'quant_method', 'gptq']],
    [{ quantization_config: { quant_method: 'bitsandbytes', load_in_8bit: true } }, ['load_in_4bit', 'missing']],
    [
      { quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'fp4' } },
      ['bnb_4bit_quant_type', '"nf4"', '"fp4"'],
    ],
  ];
  it.each(refusals)('%j is refused by key and value', async (change, words) => {
    await expectRefusal(() => parseModelConfig({ ...LLAMA, ...change }), 'checkpoint', 'config.json', ...words);
  });

  it('any JSON, and any values under known keys, give a config or a PupilError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), (value) => onlyPupilErrors(() => parseModelConfig(value))),
      { numRuns: 300 },
    );
    const keys = [...Object.keys(LLAMA), 'rope_scaling', 'rope_parameters', 'eos_token_id', 'quantization_config'];
    const change = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue());
    await fc.assert(
      fc.asyncProperty(change, (values) => onlyPupilErrors(() => parseModelConfig({ ...LLAMA, ...values }))),
      { numRuns: 500 },
    );
  });
});
