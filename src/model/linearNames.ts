// linearNames.ts: the seven linear layers of a decoder block, by Hugging Face's names, with their sizes. A further family
// that names or sizes them otherwise changes this file and decoder.ts, nothing else.
import type { ModelConfig } from '../formats/modelConfig';
import { PupilError } from '../base/errors';

export const LINEAR_NAMES = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;
export type LinearName = (typeof LINEAR_NAMES)[number];

/** Module path as in safetensors, without `.weight`. */
export function modulePath(layer: number, name: LinearName): string {
  const block = name === 'gate_proj' || name === 'up_proj' || name === 'down_proj' ? 'mlp' : 'self_attn';
  return `model.layers.${layer}.${block}.${name}`;
}

/** (outputs, inputs) of a linear layer. */
export function linearShape(config: ModelConfig, name: LinearName): [O: number, C: number] {
  const C = config.hiddenSize;
  const F = config.intermediateSize;
  const Q = config.heads * config.headSize;
  const KV = config.kvHeads * config.headSize;
  switch (name) {
    case 'q_proj':
      return [Q, C];
    case 'k_proj':
    case 'v_proj':
      return [KV, C];
    case 'o_proj':
      return [C, Q];
    case 'gate_proj':
    case 'up_proj':
      return [F, C];
    case 'down_proj':
      return [C, F];
  }
}

/** Checks names given by a user or a file. Throws `config`. */
export function parseLinearNames(names: readonly string[]): LinearName[] {
  const wanted = new Set(names);
  const found = LINEAR_NAMES.filter((name) => wanted.delete(name));
  if (wanted.size > 0 || found.length === 0) {
    throw new PupilError(
      'config',
      `adapter targets: expected some of ${LINEAR_NAMES.join(', ')}, got ${names.length === 0 ? 'none' : names.join(', ')}`,
    );
  }
  return found;
}
