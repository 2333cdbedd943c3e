// studentPlan.test.ts: what is said of the students that people use, from their published config.json alone: parameters, bytes,
// whether they fit, and what would make them fit. The values of the files are facts, written down from their model pages.
import { describe, expect, it } from 'vitest';
import { parseModelConfig, type ModelConfig } from '../../../src/formats/modelConfig';
import { estimatedDownloadBytes, planStudent, STUDENT_SETTINGS, type PlanLimits } from '../../../src/model/studentPlan';

const llama = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_act: 'silu',
  attention_bias: false,
  mlp_bias: false,
};
const qwen = { hidden_act: 'silu', use_sliding_window: false, rms_norm_eps: 1e-6, torch_dtype: 'bfloat16' };

/** Hub name, config.json, parameters (tied embeddings once), bytes of the safetensors files. */
const PUBLISHED: [string, Record<string, unknown>, number, number][] = [
  [
    'HuggingFaceTB/SmolLM2-135M-Instruct',
    {
      ...llama,
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      vocab_size: 49152,
      max_position_embeddings: 8192,
      rms_norm_eps: 1e-5,
      rope_theta: 100000,
      rope_scaling: null,
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
      torch_dtype: 'bfloat16',
    },
    134_515_008,
    269e6,
  ],
  [
    'Qwen/Qwen2.5-0.5B-Instruct',
    {
      ...qwen,
      architectures: ['Qwen2ForCausalLM'],
      model_type: 'qwen2',
      hidden_size: 896,
      intermediate_size: 4864,
      num_hidden_layers: 24,
      num_attention_heads: 14,
      num_key_value_heads: 2,
      vocab_size: 151936,
      max_position_embeddings: 32768,
      rope_theta: 1000000,
      sliding_window: 32768,
      max_window_layers: 21,
      tie_word_embeddings: true,
      bos_token_id: 151643,
      eos_token_id: 151645,
    },
    494_032_768,
    988e6,
  ],
  [
    'meta-llama/Llama-3.2-1B-Instruct',
    {
      ...llama,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 64,
      vocab_size: 128256,
      max_position_embeddings: 131072,
      rms_norm_eps: 1e-5,
      rope_theta: 500000,
      rope_scaling: {
        factor: 32,
        high_freq_factor: 4,
        low_freq_factor: 1,
        original_max_position_embeddings: 8192,
        rope_type: 'llama3',
      },
      tie_word_embeddings: true,
      bos_token_id: 128000,
      eos_token_id: [128001, 128008, 128009],
      torch_dtype: 'bfloat16',
    },
    1_235_814_400,
    2471.6e6,
  ],
  [
    'TinyLlama/TinyLlama-1.1B-Chat-v1.0',
    {
      ...llama,
      hidden_size: 2048,
      intermediate_size: 5632,
      num_hidden_layers: 22,
      num_attention_heads: 32,
      num_key_value_heads: 4,
      vocab_size: 32000,
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      rope_scaling: null,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
      torch_dtype: 'bfloat16',
    },
    1_100_048_384,
    2200e6,
  ],
  [
    'Qwen/Qwen3-0.6B',
    {
      ...qwen,
      architectures: ['Qwen3ForCausalLM'],
      model_type: 'qwen3',
      attention_bias: false,
      hidden_size: 1024,
      intermediate_size: 3072,
      num_hidden_layers: 28,
      num_attention_heads: 16,
      num_key_value_heads: 8,
      head_dim: 128,
      vocab_size: 151936,
      max_position_embeddings: 40960,
      rope_theta: 1000000,
      rope_scaling: null,
      sliding_window: null,
      max_window_layers: 28,
      tie_word_embeddings: true,
      bos_token_id: 151643,
      eos_token_id: 151645,
    },
    596_049_920,
    1192e6, // the published file is larger: it stores the tied matrix twice
  ],
  [
    'meta-llama/Llama-2-7b-chat-hf',
    {
      ...llama,
      hidden_size: 4096,
      intermediate_size: 11008,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 32,
      vocab_size: 32000,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      rope_scaling: null,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
      torch_dtype: 'float16',
    },
    6_738_415_616,
    13476.8e6,
  ],
  [
    'meta-llama/Llama-2-13b-chat-hf',
    {
      ...llama,
      hidden_size: 5120,
      intermediate_size: 13824,
      num_hidden_layers: 40,
      num_attention_heads: 40,
      num_key_value_heads: 40,
      vocab_size: 32000,
      max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      rope_scaling: null,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
      torch_dtype: 'float16',
    },
    13_015_864_320,
    26031.7e6,
  ],
  [
    'mistralai/Mistral-7B-Instruct-v0.1',
    {
      architectures: ['MistralForCausalLM'],
      model_type: 'mistral',
      hidden_act: 'silu',
      hidden_size: 4096,
      intermediate_size: 14336,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      vocab_size: 32000,
      max_position_embeddings: 32768,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      sliding_window: 4096,
      tie_word_embeddings: false,
      bos_token_id: 1,
      eos_token_id: 2,
      torch_dtype: 'bfloat16',
    },
    7_241_732_096,
    14483.5e6,
  ],
];

const configOf = (name: string): ModelConfig => parseModelConfig(PUBLISHED.find(([hub]) => hub.endsWith(name))![1]);
const SEVEN = configOf('Llama-2-7b-chat-hf');
const AMPLE: PlanLimits = { maxBufferSize: 2 ** 32 - 4, maxStorageBufferBindingSize: 2 ** 31 - 4 };

describe('published students', () => {
  for (const [name, json, parameters, bytes] of PUBLISHED) {
    it(`${name}: ${parameters} parameters, and the size of its files`, () => {
      const config = parseModelConfig(json);
      const plan = planStudent(config, STUDENT_SETTINGS);
      expect(plan.parameters).toBe(parameters);
      expect(estimatedDownloadBytes(config) / bytes).toBeGreaterThan(0.999);
      expect(estimatedDownloadBytes(config) / bytes).toBeLessThan(1.003);
      expect(plan.verdict).toBe('unknown');
      for (const { stage, parts } of plan.stages) {
        const sum = Object.entries(parts).reduce((all, [part, of]) => (part === 'totalBytes' ? all : all + of), 0);
        expect(sum, stage).toBe(parts.totalBytes);
      }
    });
  }

  it('a model that is not supported is refused by name', () => {
    const gpt = { ...PUBLISHED[0]![1], model_type: 'gpt_bigcode', architectures: ['GPTBigCodeForCausalLM'] };
    expect(() => parseModelConfig(gpt)).toThrow(/model_type: expected .*"llama".*got "gpt_bigcode"/);
  });
});

describe('Llama-2-7B with QLoRA’s recipe, 1 × 512', () => {
  const plan = planStudent(SEVEN, STUDENT_SETTINGS, { limits: AMPLE });
  const training = plan.stages.find(({ stage }) => stage === 'training')!.parts;

  it('trains rank 64 on all linear layers, as QLoRA’s authors count it', () => {
    expect(plan.trainedParameters).toBe(159_907_840);
    expect(training.adapterBytes).toBe(8 * 159_907_840);
    expect(training.optimizerBytes).toBe(8 * 159_907_840);
  });

  it('holds 4.5 bits a linear weight, and embedding and head in 32', () => {
    const linear = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008);
    const dense = 4 * 2 * 32000 * 4096 + 4 * (2 * 32 + 1) * 4096 + 2 * 4 * 4096 * 64;
    expect(training.weightsBytes).toBe(linear / 2 + (4 * linear) / 64 + dense);
    expect(plan.activations).toBe('recompute');
    expect(plan.peakStage).toBe('training');
    expect(plan.verdict).toBe('fits');
    expect(plan.remedies).toEqual([]);
  });
});

describe('what would make it fit', () => {
  it('is in order of least harm, ends where it fits, and each line is the truth', () => {
    const settings = { ...STUDENT_SETTINGS, batch: 8, length: 1024, newTokens: 256, answers: 16 };
    const whole = planStudent(SEVEN, settings);
    const budgetBytes = 8e9;
    const plan = planStudent(SEVEN, settings, { budgetBytes });
    expect(whole.peak.totalBytes).toBeGreaterThan(budgetBytes);
    expect(plan.verdict).toBe('too-large');
    expect(plan.reasons).toEqual([
      `it needs ${plan.peak.totalBytes} bytes on the GPU at its peak, the budget is ${budgetBytes}`,
    ]);
    expect(plan.remedies.length).toBeGreaterThan(1);
    const order = ['activations', 'batch', 'answers', 'quantize', 'tier', 'length', 'rank'];
    const places = plan.remedies.map(({ setting }) => order.indexOf(setting));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    let together = settings as typeof settings & Record<string, unknown>;
    for (const [i, { setting, to, aloneBytes, togetherBytes, fits }] of plan.remedies.entries()) {
      const change = { [setting]: to, ...(setting === 'length' ? { newTokens: Math.min(256, Number(to) / 2) } : {}) };
      expect(planStudent(SEVEN, { ...settings, ...change }).peak.totalBytes).toBe(aloneBytes);
      together = { ...together, ...change };
      expect(planStudent(SEVEN, together).peak.totalBytes).toBe(togetherBytes);
      expect(fits).toBe(togetherBytes <= budgetBytes);
      expect(fits).toBe(i === plan.remedies.length - 1);
    }
    expect(planStudent(SEVEN, together, { budgetBytes }).verdict).toBe('fits');
  });

  it('says so where nothing does', () => {
    const plan = planStudent(SEVEN, STUDENT_SETTINGS, { budgetBytes: 1e9 });
    expect(plan.remedies.at(-1)).toMatchObject({ setting: 'rank', to: 4, fits: false });
  });

  it('a student that is quantised already is not quantised again, and counts as it is', () => {
    const json = {
      ...PUBLISHED.find(([name]) => name.endsWith('7b-chat-hf'))![1],
      quantization_config: {
        quant_method: 'bitsandbytes',
        load_in_4bit: true,
        bnb_4bit_quant_type: 'nf4',
        bnb_4bit_use_double_quant: true,
      },
    };
    const stored = planStudent(parseModelConfig(json), { ...STUDENT_SETTINGS, quantize: 'none' }, { budgetBytes: 1e9 });
    const made = planStudent(SEVEN, { ...STUDENT_SETTINGS, quantize: 'nf4-double' });
    expect(stored.stages[1]!.parts.weightsBytes).toBe(made.stages[1]!.parts.weightsBytes);
    expect(stored.remedies.map(({ setting }) => setting)).not.toContain('quantize');
  });
});

describe('the limits of an adapter', () => {
  const small: PlanLimits = { maxBufferSize: 2 ** 30, maxStorageBufferBindingSize: 2 ** 27 };

  it('weights beyond a binding are bound in pieces; that alone is no reason against it', () => {
    const plan = planStudent(SEVEN, STUDENT_SETTINGS, { limits: small });
    expect(plan.tensors).toContainEqual({ name: 'lm_head.weight', sizeBytes: 4 * 32000 * 4096, fit: 'split' });
    expect(plan.tensors.filter(({ fit }) => fit === 'refused')).toEqual([]);
    expect(plan.verdict).toBe('fits');
  });

  it('a weight beyond a buffer is named, and 16 bits are the remedy', () => {
    const limits = { maxBufferSize: 4 * 32000 * 4096 - 4, maxStorageBufferBindingSize: 2 ** 27 };
    const plan = planStudent(SEVEN, { ...STUDENT_SETTINGS, rank: 4 }, { limits });
    expect(plan.reasons).toEqual([
      `model.embed_tokens.weight takes ${4 * 32000 * 4096} bytes, the largest buffer of this adapter is ${limits.maxBufferSize}`,
      `lm_head.weight takes ${4 * 32000 * 4096} bytes, the largest buffer of this adapter is ${limits.maxBufferSize}`,
    ]);
    expect(plan.remedies.at(-1)).toMatchObject({ setting: 'tier', to: 'f16', fits: true });
  });

  it('activations that one binding cannot hold are refused, and a smaller micro-batch is the remedy', () => {
    const plan = planStudent(SEVEN, { ...STUDENT_SETTINGS, batch: 8 }, { limits: small });
    expect(plan.tensors).toContainEqual({
      name: 'activations of a block',
      sizeBytes: 4 * 8 * 512 * 11008,
      fit: 'refused',
    });
    expect(plan.remedies.at(-1)).toMatchObject({ setting: 'batch', to: 4, fits: true });
  });
});

describe('settings that cannot be', () => {
  it.each([
    [{ length: 5000 }, /at most 4096 tokens, the student’s context, got 5000/],
    [{ length: 4096, newTokens: 4096 }, /got 4097/],
    [{ rank: 0 }, /rank: expected a whole number from 1, got 0/],
    [{ batch: 1.5 }, /batch: expected a whole number from 1, got 1.5/],
    [{ targets: ['q'] }, /adapter targets/],
  ])('%o', (change, message) => {
    expect(() => planStudent(SEVEN, { ...STUDENT_SETTINGS, ...change })).toThrow(message);
  });
});

it('settings that whoever asks cannot change are no remedies', () => {
  const config = parseModelConfig(PUBLISHED[0]![1], 'config.json');
  const settings = { ...STUDENT_SETTINGS, batch: 16 };
  const named = (fixed: (keyof typeof settings)[]): string[] =>
    planStudent(config, settings, { budgetBytes: 5e8, fixed }).remedies.map(({ setting }) => setting);
  expect(named([])).toContain('batch');
  expect(named([]).length).toBeGreaterThan(1);
  expect(named(['batch'])).not.toContain('batch');
  expect(named(['activations', 'tier'])).not.toContain('tier');
});
