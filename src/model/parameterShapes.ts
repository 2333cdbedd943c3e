// parameterShapes.ts: which tensors a checkpoint of a config must have, by Hugging Face's names, and how many numbers they
// hold. From the config alone: no file and no GPU is touched.
import { elementCount } from '../base/dtypes';
import type { ModelConfig } from '../formats/modelConfig';
import { LINEAR_NAMES, linearShape, modulePath } from './linearNames';

/** How the linear weights of a frozen student are stored. */
export type Quantization = 'none' | 'nf4' | 'nf4-double';

export interface NamedShape {
  name: string;
  shape: number[];
}

/** Every tensor that a checkpoint of this config must have: matrices, then norms. */
export function parameterShapes(config: ModelConfig): { matrices: NamedShape[]; norms: NamedShape[] } {
  const { hiddenSize: C, vocabSize: V } = config;
  const matrices: NamedShape[] = [{ name: 'model.embed_tokens.weight', shape: [V, C] }];
  const norms: NamedShape[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    for (const name of LINEAR_NAMES)
      matrices.push({ name: `${modulePath(layer, name)}.weight`, shape: linearShape(config, name) });
    norms.push({ name: `model.layers.${layer}.input_layernorm.weight`, shape: [C] });
    norms.push({ name: `model.layers.${layer}.post_attention_layernorm.weight`, shape: [C] });
  }
  norms.push({ name: 'model.norm.weight', shape: [C] });
  if (!config.tiedEmbeddings) matrices.push({ name: 'lm_head.weight', shape: [V, C] });
  return { matrices, norms };
}

/** Number of parameters, tied weights counted once. */
export function parameterCount(config: ModelConfig): number {
  const { matrices, norms } = parameterShapes(config);
  return [...matrices, ...norms].reduce((sum, { shape }) => sum + elementCount(shape), 0);
}
