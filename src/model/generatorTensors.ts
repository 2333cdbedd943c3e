// generatorTensors.ts: what a generator's commands know of the batch besides the student: prompts on their way in, and of every
// row its ids, lengths and places. All u32. Who writes what is generator.ts.
import type { Arena, Tensor } from '../gpu/tensor';

/** Tensors of B rows, and of N prompt tokens that are prefilled at once. */
export interface GeneratorTensors {
  readonly ids: Tensor; // (N)
  readonly positions: Tensor; // (N)
  readonly sequenceStart: Tensor; // (N)
  readonly slots: Tensor; // (N)
  readonly lastIndex: Tensor; // (B)
  readonly rowIndex: Tensor; // (B)
  readonly sequences: Tensor; // (B)
  readonly state: Tensor; // (4)
  readonly lengths: Tensor; // (B)
  readonly finished: Tensor; // (B)
  readonly output: Tensor; // (B·maxNewTokens)
  readonly outputCount: Tensor; // (B)
  readonly nextIds: Tensor; // (B)
  readonly nextPositions: Tensor; // (B)
  readonly nextSlots: Tensor; // (B)
  readonly cacheStarts: Tensor; // (B)
}

export function generatorTensors(arena: Arena, B: number, N: number, maxNewTokens: number): GeneratorTensors {
  const u32 = (label: string, size: number): Tensor => arena.tensor(label, [size], 'u32');
  return {
    ids: u32('ids', N),
    positions: u32('positions', N),
    sequenceStart: u32('sequence start', N),
    slots: u32('slots', N),
    lastIndex: u32('last index', B),
    rowIndex: u32('row index', B),
    sequences: u32('sequence numbers', B),
    state: u32('sampling state', 4),
    lengths: u32('lengths', B),
    finished: u32('finished', B),
    output: u32('output', B * maxNewTokens),
    outputCount: u32('output count', B),
    nextIds: u32('next ids', B),
    nextPositions: u32('next positions', B),
    nextSlots: u32('next slots', B),
    cacheStarts: u32('cache starts', B),
  };
}
