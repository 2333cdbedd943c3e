// studentSource.ts: the student that the training step and decoding are measured on: a folder's checkpoint, or seeded random
// weights in the same shape (speed does not depend on the values). It loads nothing onto a device for keeps.
import { openCheckpoint, type Checkpoint } from '../src/formats/checkpointIndex';
import type { JsonObject } from '../src/formats/jsonText';
import { parseModelConfig } from '../src/formats/modelConfig';
import { writeSafetensors } from '../src/formats/safetensorsWrite';
import { RandomStream } from '../src/base/random';
import { elementCount } from '../src/base/dtypes';
import { parameterShapes } from '../src/model/parameterShapes';
import { openMemoryRoot } from '../src/sources/memory';

/** The shape of story_llama: a decoder of 656 thousand parameters. */
export const STORY_LLAMA: JsonObject = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_act: 'silu',
  hidden_size: 128,
  intermediate_size: 384,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 2048,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
};

/** Random weights as Hugging Face initialises Llama: normal(0, 0.02), norms 1. Seeded by name. */
export async function randomCheckpoint(config: JsonObject): Promise<Checkpoint> {
  const { matrices, vectors } = parameterShapes(parseModelConfig(config));
  const tensors = [...matrices, ...vectors].map(({ name, shape }) => {
    const random = new RandomStream(1, name);
    const data = Float32Array.from({ length: elementCount(shape) }, () =>
      shape.length === 1 ? 1 : 0.02 * random.nextNormal(),
    );
    return { name, dtype: 'f32' as const, shape, data: new Uint8Array(data.buffer) };
  });
  const root = openMemoryRoot({
    'config.json': new TextEncoder().encode(JSON.stringify(config)),
    'model.safetensors': writeSafetensors(tensors),
  });
  return openCheckpoint(root.open, 'random weights');
}
