// blockTensors.ts: the tensors that a decoder block works in: what it keeps for its backward, and the scratch that blocks
// share. Made once for a capacity of N rows; what is computed in them is decoder.ts.
import type { Arena, Tensor } from '../gpu/tensor';
import type { Adapter } from './adapter';
import { LINEAR_NAMES, type LinearName } from '../base/linearNames';
import { modulePath } from './linearNames';
import type { Student } from './student';

/** The input of a norm and, from its forward, 1/RMS of each of its rows. */
export interface NormInput {
  readonly x: Tensor;
  readonly inverseRms: Tensor;
}

/** What one block keeps for its backward, N rows each. */
export interface Activations {
  readonly normed: Tensor; // (N, C)  rmsnorm(x)
  readonly inverseRms: Tensor; // (N)
  /** What q_proj and k_proj give, where it is normalised before RoPE. */
  readonly unnormed: { readonly q: NormInput; readonly k: NormInput } | undefined;
  readonly q: Tensor; // (N, H·K)  after RoPE
  readonly k: Tensor; // (N, Hkv·K)  after RoPE
  readonly v: Tensor; // (N, Hkv·K)
  readonly attended: Tensor; // (N, H·K)
  readonly logsumexp: Tensor; // (N, H)
  /** What o_proj and down_proj give, where it is normalised before the residual sum. */
  readonly branches: { readonly attention: NormInput; readonly feedForward: NormInput } | undefined;
  readonly middle: Tensor; // (N, C)  h
  readonly middleNormed: Tensor; // (N, C)  rmsnorm(h)
  readonly middleInverseRms: Tensor; // (N)
  readonly gate: Tensor; // (N, F)
  readonly up: Tensor; // (N, F)
  readonly hidden: Tensor; // (N, F)  silu(gate) ⊙ up
  /** x·Aᵀ of each adapted layer. */
  readonly lora: Partial<Record<LinearName, Tensor>>; // (N, R)
}

/** Scratch that blocks share. */
export interface Scratch {
  readonly branch: Tensor; // (N, C)  what o or down (normalised, where a family does) add to the residual stream
}

export interface BackwardScratch {
  readonly dNormed: Tensor; // (N, C)
  readonly dQ: Tensor; // (N, H·K)
  readonly dK: Tensor;
  readonly dV: Tensor;
  readonly dAttended: Tensor; // (N, H·K)
  readonly delta: Tensor; // (N, H)
  readonly dGate: Tensor; // (N, F)
  readonly dUp: Tensor; // (N, F)
  readonly dHidden: Tensor; // (N, F)
  /** ∂L of a branch before its norm, where it has one. */
  readonly dBranch: Tensor | undefined; // (N, C)
  /** ∂L of q and k before their norms, where they have them. */
  readonly dUnnormed: { readonly q: Tensor; readonly k: Tensor } | undefined;
  readonly dLora: Tensor | undefined; // (N, largest R)
}

export function makeActivations(
  arena: Arena,
  student: Student,
  adapter: Adapter | undefined,
  N: number,
  label: string,
): Activations {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K, qkNorms, branchNorms } = student.config;
  const make = (name: string, ...shape: number[]): Tensor => arena.tensor(`${label} ${name}`, [N, ...shape]);
  const normInput = (name: string, width: number, heads?: number): NormInput => ({
    x: make(name, width),
    inverseRms: heads === undefined || heads === 1 ? make(`${name} inverse rms`) : make(`${name} inverse rms`, heads),
  });
  const lora: Partial<Record<LinearName, Tensor>> = {};
  if (adapter !== undefined) {
    for (const name of LINEAR_NAMES) {
      const ranks = student.config.layers === 0 ? [] : layerRanks(student, adapter, name);
      if (ranks.length > 0) lora[name] = make(`${name} lora`, Math.max(...ranks));
    }
  }
  return {
    normed: make('normed', C),
    inverseRms: make('inverse rms'),
    unnormed: qkNorms
      ? { q: normInput('q unnormed', H * K, H), k: normInput('k unnormed', kvHeads * K, kvHeads) }
      : undefined,
    q: make('q', H * K),
    k: make('k', kvHeads * K),
    v: make('v', kvHeads * K),
    attended: make('attended', H * K),
    logsumexp: make('logsumexp', H),
    branches: branchNorms
      ? { attention: normInput('attention branch', C), feedForward: normInput('feed-forward branch', C) }
      : undefined,
    middle: make('middle', C),
    middleNormed: make('middle normed', C),
    middleInverseRms: make('middle inverse rms'),
    gate: make('gate', F),
    up: make('up', F),
    hidden: make('hidden', F),
    lora,
  };
}

function layerRanks(student: Student, adapter: Adapter, name: LinearName): number[] {
  return student.layers.flatMap((_, layer) => adapter.site(modulePath(layer, name))?.rank ?? []);
}

export function makeBackwardScratch(
  arena: Arena,
  student: Student,
  adapter: Adapter | undefined,
  N: number,
): BackwardScratch {
  const { hiddenSize: C, intermediateSize: F, heads: H, kvHeads, headSize: K, qkNorms, branchNorms } = student.config;
  const make = (name: string, ...shape: number[]): Tensor => arena.tensor(`backward ${name}`, [N, ...shape]);
  const ranks = adapter === undefined ? [] : LINEAR_NAMES.flatMap((name) => layerRanks(student, adapter, name));
  return {
    dNormed: make('d normed', C),
    dQ: make('d q', H * K),
    dK: make('d k', kvHeads * K),
    dV: make('d v', kvHeads * K),
    dAttended: make('d attended', H * K),
    delta: make('delta', H),
    dGate: make('d gate', F),
    dUp: make('d up', F),
    dHidden: make('d hidden', F),
    dBranch: branchNorms ? make('d branch', C) : undefined,
    dUnnormed: qkNorms ? { q: make('d q unnormed', H * K), k: make('d k unnormed', kvHeads * K) } : undefined,
    dLora: ranks.length === 0 ? undefined : make('d lora', Math.max(...ranks)),
  };
}
