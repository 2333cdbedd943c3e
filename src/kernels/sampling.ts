// sampling.ts: the next token of every row and the book-keeping of generation, all on the GPU: nothing has to be read back
// between two tokens. It does not run the model.
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';
import advanceWgsl from '../../shaders/sample/sample_advance.wgsl?raw';
import tokensWgsl from '../../shaders/sample/sample_tokens.wgsl?raw';
import orderedWgsl from '../../shaders/common/ordered_bits.wgsl?raw';
import randomWgsl from '../../shaders/common/random.wgsl?raw';
import { wideLanes } from './wideLanes';

const SAMPLE_TOKENS = kernelSource('sample_tokens', tokensWgsl, randomWgsl, orderedWgsl);
const SAMPLE_ADVANCE = kernelSource('sample_advance', advanceWgsl);

const MAX_END_TOKENS = 8;
const MAX_VOCABULARY = 2 ** 24; // counts are exact in f32 up to here

/** Why a row's generation ended, as `finished` holds it. */
export const FINISHED = { running: 0, endToken: 1, length: 2, notFinite: 3 } as const;

export interface SamplingOptions {
  rows: Rows;
  vocab: number;
  maxNewTokens: number;
  /** Cache slots of each row: its longest prompt and new tokens together. */
  cacheCapacity: number;
  /** At most 8. */
  eosIds: readonly number[];
  /** 0 is greedy, the lowest index on ties. */
  temperature: number;
  /** 0 (or V and more): all tokens. */
  topK: number;
  /** In (0, 1]; 1: all tokens. */
  topP: number;
  /** Run between drawing and advancing: they see the tokens in nextIds, and outputCount as it was. */
  drawn?: readonly Command[];
}

/**
 * Draws the next token of every unfinished row and advances it. With w_i = exp(logit_i / T): the support is the topK
 * largest logits, then the fewest of these whose share of Σ w reaches topP (equal logits stand or fall together); the
 * token is the first, in index order, at which the running sum exceeds u·Σ w. u comes from
 * Threefry((seed, stream), (sequence number, tokens generated so far)), so a sequence draws the same whatever its row or
 * its company. Temperature 0 takes the largest logit.
 *
 * A row that draws an end token emits it and is finished (1); a row that has emitted maxNewTokens, or whose cache is full,
 * is finished (2); a row whose logits contain NaN or +∞, or are all −∞, emits nothing and is finished (3). Finished rows emit nothing; their position and slot stay those of their last token, so that the
 * model's next step writes nowhere else.
 *
 * @param tensors logits (B, V); sequences and cacheStarts (B) u32; state (4) u32 = (seed, stream, 0, 0).
 *   UPDATES, all u32: lengths (B), tokens the row has had before this one, += 1, which is then the number of keys
 *   attentionDecode sees in the next step; finished (B); output (B·maxNewTokens); outputCount (B).
 *   WRITES: nextIds (B), nextPositions (B) = the old length, nextSlots (B) = cacheStarts[b] + nextPositions[b].
 * @throws PupilError `shape`; `config` for settings out of range.
 */
export function sampleTokens(
  gpu: Gpu,
  tensors: {
    logits: Tensor;
    sequences: Tensor;
    state: Tensor;
    lengths: Tensor;
    finished: Tensor;
    output: Tensor;
    outputCount: Tensor;
    nextIds: Tensor;
    nextPositions: Tensor;
    nextSlots: Tensor;
    cacheStarts: Tensor;
  },
  options: SamplingOptions,
): Command[] {
  const { logits, state, output, ...perRow } = tensors;
  const { sequences, lengths, finished, outputCount, nextIds, nextPositions, nextSlots, cacheStarts } = perRow;
  const { rows, vocab, maxNewTokens, cacheCapacity, eosIds, temperature, topK, topP } = options;
  const B = rows.capacity;
  const op = 'sampleTokens';
  expectTensor(op, 'logits', logits, [B, vocab], 'f32');
  expectTensor(op, 'state', state, [4], 'u32');
  expectTensor(op, 'output', output, [B * maxNewTokens], 'u32');
  for (const [name, tensor] of Object.entries(perRow)) expectTensor(op, name, tensor, [B], 'u32');
  const demand = (holds: boolean, expected: string, came: unknown): void => {
    if (!holds) throw new PupilError('config', `${op}: ${expected}, got ${String(came)}`);
  };
  demand(vocab >= 1 && vocab < MAX_VOCABULARY, `vocab must be 1 to ${MAX_VOCABULARY - 1}`, vocab);
  demand(Number.isFinite(temperature) && temperature >= 0, 'temperature must be 0 or more', temperature);
  demand(Number.isInteger(topK) && topK >= 0, 'topK must be a whole number, 0 for all', topK);
  demand(topP > 0 && topP <= 1, 'topP must be in (0, 1]', topP);
  demand(eosIds.length <= MAX_END_TOKENS, `at most ${MAX_END_TOKENS} end tokens`, eosIds.length);
  demand(maxNewTokens >= 1 && cacheCapacity >= 1, 'maxNewTokens and cacheCapacity must be 1 or more', maxNewTokens);
  const greedy = temperature === 0;
  return [
    new Dispatch(gpu, SAMPLE_TOKENS, {
      bind: { logits, sequences, state, finished, output_count: outputCount, next_ids: nextIds },
      constants: {
        lanes: wideLanes(gpu),
        V: vocab,
        GREEDY: greedy,
        // Any colder makes no difference: what is not the largest logit weighs 0. The division must stay finite.
        ...(greedy ? {} : { TEMPERATURE: Math.max(temperature, 1e-30), TOP_K: topK >= vocab ? 0 : topK, TOP_P: topP }),
      },
      rows,
      grid: (count) => linearGrid(gpu, count),
    }),
    ...(options.drawn ?? []),
    new Dispatch(gpu, SAMPLE_ADVANCE, {
      bind: {
        next_ids: nextIds,
        lengths,
        finished,
        output,
        output_count: outputCount,
        next_positions: nextPositions,
        next_slots: nextSlots,
        cache_starts: cacheStarts,
      },
      constants: {
        MAX_NEW: maxNewTokens,
        CAPACITY: cacheCapacity,
        ...Object.fromEntries(eosIds.map((id, i) => [`EOS${i}`, id])),
      },
      rows,
      grid: (count) => linearGrid(gpu, Math.ceil(count / 64)),
    }),
  ];
}
