// tokenLogps.ts: the log-probability of every token as it is drawn, and the most probable ones it was drawn among. It draws
// nothing (sampling.ts does), and costs nothing where it is not asked for.
import { PupilError } from '../base/errors';
import { Dispatch, linearGrid, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { kernelSource } from '../gpu/pipelines';
import type { Rows } from '../gpu/rows';
import { expectTensor, type Tensor } from '../gpu/tensor';
import reduceWgsl from '../../shaders/common/lane_reductions.wgsl?raw';
import orderedWgsl from '../../shaders/common/ordered_bits.wgsl?raw';
import logpsWgsl from '../../shaders/sample/token_logps.wgsl?raw';
import { wideLanes } from './wideLanes';

const TOKEN_LOGPS = kernelSource('token_logps', logpsWgsl, reduceWgsl, orderedWgsl);

/** Stands in topIds where there are fewer tokens of finite logit than were asked for. */
export const NO_TOKEN = 0xffffffff;
/** Most probable tokens that can be asked for; each is one more pass over the vocabulary. */
export const MAX_ALTERNATIVES = 10;

/**
 * log π of the tokens in nextIds under the softmax of the logits as they are: no temperature, no top-k, no top-p. To be run
 * when a token is drawn and not yet emitted (`drawn` of sampleTokens).
 *
 * @param tensors logits (B, V); nextIds, finished, outputCount (B) u32. WRITES, at b·maxNewTokens + outputCount[b]: logps
 *   (B·maxNewTokens), topIds u32 and topLogps (B·maxNewTokens·alternatives; 1 element where none are asked for), falling,
 *   equal ones by the lower id, {@link NO_TOKEN} and 0 where there are no more. Rows that are finished or drew no token
 *   write nothing.
 * @throws PupilError `shape`; `config` for alternatives out of range.
 */
export function tokenLogps(
  gpu: Gpu,
  tensors: {
    logits: Tensor;
    nextIds: Tensor;
    finished: Tensor;
    outputCount: Tensor;
    logps: Tensor;
    topIds: Tensor;
    topLogps: Tensor;
  },
  options: { rows: Rows; vocab: number; maxNewTokens: number; alternatives: number },
): Command[] {
  const { logits, nextIds, finished, outputCount, logps, topIds, topLogps } = tensors;
  const { rows, vocab, maxNewTokens, alternatives } = options;
  const B = rows.capacity;
  const op = 'tokenLogps';
  if (!(Number.isInteger(alternatives) && alternatives >= 0 && alternatives <= MAX_ALTERNATIVES)) {
    throw new PupilError('config', `${op}: alternatives must be 0 to ${MAX_ALTERNATIVES}, got ${alternatives}`);
  }
  const places = Math.max(1, B * maxNewTokens * alternatives);
  expectTensor(op, 'logits', logits, [B, vocab], 'f32');
  for (const [name, tensor] of Object.entries({ nextIds, finished, outputCount })) {
    expectTensor(op, name, tensor, [B], 'u32');
  }
  expectTensor(op, 'logps', logps, [B * maxNewTokens], 'f32');
  expectTensor(op, 'topIds', topIds, [places], 'u32');
  expectTensor(op, 'topLogps', topLogps, [places], 'f32');
  return [
    new Dispatch(gpu, TOKEN_LOGPS, {
      bind: {
        logits,
        next_ids: nextIds,
        finished,
        output_count: outputCount,
        logps,
        top_ids: topIds,
        top_logps: topLogps,
      },
      constants: { lanes: wideLanes(gpu), V: vocab, K: alternatives, MAX_NEW: maxNewTokens },
      rows,
      grid: (count) => linearGrid(gpu, count),
    }),
  ];
}
