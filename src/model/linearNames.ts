// linearNames.ts: where the linear layers of a decoder block are in a checkpoint, and their sizes. All families here name
// them alike.
import { PupilError } from '../base/errors';
import { LINEAR_NAMES, type LinearName } from '../base/linearNames';
import type { Decoder } from '../formats/families/family';

/** Module path as in safetensors, without `.weight`. */
export function modulePath(layer: number, name: LinearName): string {
  const block = name === 'gate_proj' || name === 'up_proj' || name === 'down_proj' ? 'mlp' : 'self_attn';
  return `model.layers.${layer}.${block}.${name}`;
}

/** The RMSNorms of a block; those of branches and of queries and keys are in some families only. */
export type NormName = 'input' | 'attentionBranch' | 'feedForward' | 'feedForwardBranch' | 'query' | 'key';

/** The norms that a block of this decoder has, in the order of its forward. */
export function normNames(config: Decoder): NormName[] {
  return [
    'input',
    ...(config.qkNorms ? (['query', 'key'] as const) : []),
    ...(config.branchNorms ? (['attentionBranch'] as const) : []),
    'feedForward',
    ...(config.branchNorms ? (['feedForwardBranch'] as const) : []),
  ];
}

/** Tensor name as in safetensors. With norms after the branches, `post_attention_layernorm` is one of those. */
export function normPath(config: Decoder, layer: number, name: NormName): string {
  const block = `model.layers.${layer}`;
  switch (name) {
    case 'input':
      return `${block}.input_layernorm.weight`;
    case 'query':
      return `${block}.self_attn.q_norm.weight`;
    case 'key':
      return `${block}.self_attn.k_norm.weight`;
    case 'attentionBranch':
      return `${block}.post_attention_layernorm.weight`;
    case 'feedForward':
      return config.branchNorms
        ? `${block}.pre_feedforward_layernorm.weight`
        : `${block}.post_attention_layernorm.weight`;
    case 'feedForwardBranch':
      return `${block}.post_feedforward_layernorm.weight`;
  }
}

/** (outputs, inputs) of a linear layer. */
export function linearShape(config: Decoder, name: LinearName): [O: number, C: number] {
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
