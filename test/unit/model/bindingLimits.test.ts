// bindingLimits.test.ts: batches of the paper's shapes on an adapter that binds 128 MiB: what fits, and that the refusal of
// what does not names the number that would.
import { expect, it } from 'vitest';
import { parseModelConfig, type ModelConfig } from '../../../src/formats/modelConfig';
import type { Gpu } from '../../../src/gpu/device';
import { expectBatchBindable, expectGenerationBindable } from '../../../src/model/bindingLimits';

const gpu = { limits: { maxStorageBufferBindingSize: 2 ** 27 } } as unknown as Pick<Gpu, 'limits'>;

function shape(hidden: number, intermediate: number, heads: number, kvHeads: number, vocab: number): ModelConfig {
  return parseModelConfig({
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: 32,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    vocab_size: vocab,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
  });
}
const LLAMA_2_13B = shape(5120, 13824, 40, 40, 32000);
const LLAMA_3_8B = shape(4096, 14336, 32, 8, 128256);

const batch = (tokens: number) => ({ tokens, targets: tokens, sequences: 8 });
const generation = (batchSize: number, cacheCapacity: number, prefillTokens = 2048) => ({
  batchSize,
  cacheCapacity,
  prefillTokens,
});

it('a micro-batch of 2427 tokens of a 13B student fits, one of 2428 is refused with that number', () => {
  expectBatchBindable(gpu, LLAMA_2_13B, batch(2427));
  expect(() => expectBatchBindable(gpu, LLAMA_2_13B, batch(2428))).toThrow(
    expect.objectContaining({
      code: 'gpu-limit',
      message: 'Trainer: activations of 2428 tokens take 134258688 bytes, this adapter binds at most 134217728',
      hint: 'Use micro-batches of at most 2427 tokens.',
    }),
  );
});

it.each([
  [LLAMA_2_13B, generation(6, 1024), generation(7, 1024), /^Generator: keys of 7 sequences/, /batch size to 6 or less/],
  [LLAMA_2_13B, generation(1, 6553), generation(1, 6554), /^Generator: keys of 1/, /together at most 6553 tokens/],
  [LLAMA_3_8B, generation(261, 100), generation(262, 100), /^Generator: logits of 262/, /batch size to 261 or less/],
  [LLAMA_3_8B, generation(1, 4096, 2340), generation(1, 4096, 2341), /activations of 2341/, /to 2340 tokens or less/],
])(
  'a generator at the limit fits, and one beyond is told how far to go back',
  (config, fits, exceeds, message, hint) => {
    expectGenerationBindable(gpu, config, fits);
    expect(() => expectGenerationBindable(gpu, config, exceeds)).toThrow(
      expect.objectContaining({
        code: 'gpu-limit',
        message: expect.stringMatching(message) as string,
        hint: expect.stringMatching(hint) as string,
      }),
    );
  },
);
