// parameterShapes.ts: which tensors a checkpoint of a config must have, by Hugging Face's names, and how many numbers they
// hold. From the config alone: no file and no GPU is touched.
import { elementCount } from '../base/dtypes';
import { LINEAR_NAMES } from '../base/linearNames';
import type { Decoder } from '../formats/families/family';
import { linearShape, modulePath, normNames, normPath } from './linearNames';

/** How the linear weights of a frozen student are stored. */
export type Quantization = 'none' | 'nf4' | 'nf4-double';

export interface NamedShape {
  name: string;
  shape: number[];
}

/** A norm's weight or a linear layer's bias. */
export interface NamedVector extends NamedShape {
  /** Added to the stored values: 1 where a norm's file holds w for a factor of 1 + w. */
  offset: 0 | 1;
}

/** Every tensor that a checkpoint of this config must have: matrices, then norms and biases. */
export function parameterShapes(config: Decoder): { matrices: NamedShape[]; vectors: NamedVector[] } {
  const { hiddenSize: C, headSize: K, vocabSize: V, normOffset: offset } = config;
  const matrices: NamedShape[] = [{ name: 'model.embed_tokens.weight', shape: [V, C] }];
  const vectors: NamedVector[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    for (const name of LINEAR_NAMES) {
      const shape = linearShape(config, name);
      matrices.push({ name: `${modulePath(layer, name)}.weight`, shape });
      if (config.biases.includes(name)) {
        vectors.push({ name: `${modulePath(layer, name)}.bias`, shape: [shape[0]], offset: 0 });
      }
    }
    for (const name of normNames(config)) {
      const width = name === 'query' || name === 'key' ? K : C;
      vectors.push({ name: normPath(config, layer, name), shape: [width], offset });
    }
  }
  vectors.push({ name: 'model.norm.weight', shape: [C], offset });
  if (!config.tiedEmbeddings) matrices.push({ name: 'lm_head.weight', shape: [V, C] });
  return { matrices, vectors };
}

/** Number of parameters, tied weights counted once. */
export function parameterCount(config: Decoder): number {
  const { matrices, vectors } = parameterShapes(config);
  return [...matrices, ...vectors].reduce((sum, { shape }) => sum + elementCount(shape), 0);
}
