// tokenProbabilities.ts: the probability of every generated token under the student, with the likeliest alternatives, kept on
// the GPU beside the ids and read with them. Only for generators that were asked for it: the others run the same commands as
// without this file.
import type { Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import type { Rows } from '../gpu/rows';
import type { Arena, Tensor } from '../gpu/tensor';
import { NO_TOKEN, tokenLogps } from '../kernels/tokenLogps';
import type { GeneratorTensors } from './generatorTensors';

export interface TokenProbability {
  /** log π of the token: log-softmax of the raw logits, whatever temperature, top-k and top-p it was drawn with. */
  logprob: number;
  /** The likeliest tokens, falling, equal ones by the lower id; the drawn one is among them where it is that likely. */
  alternatives: { id: number; logprob: number }[];
}

/** New tokens of one prompt. */
export interface NewTokens {
  /** The prompt's index among those given to `generate`. */
  prompt: number;
  /** As drawn: where `stopped` is "eos" the last is the end token, which is no part of the answer. */
  ids: number[];
  /** One for each id, where the generator keeps them. */
  probabilities?: TokenProbability[];
  /** Set with a prompt's last tokens. */
  stopped?: 'eos' | 'length';
}

export class TokenProbabilities {
  /** To be run when a token is drawn and not yet emitted. */
  readonly commands: readonly Command[];
  /** To be read together with the ids. */
  readonly tensors: readonly [logps: Tensor, topIds: Tensor, topLogps: Tensor];

  /** @param logits (B, V) of the step. */
  constructor(
    gpu: Gpu,
    arena: Arena,
    logits: Tensor,
    t: Pick<GeneratorTensors, 'nextIds' | 'finished' | 'outputCount'>,
    private readonly options: { rows: Rows; vocab: number; maxNewTokens: number; alternatives: number },
  ) {
    const tokens = options.rows.capacity * options.maxNewTokens;
    const places = Math.max(1, tokens * options.alternatives);
    const [logps, topIds, topLogps] = (this.tensors = [
      arena.tensor('token log-probabilities', [tokens], 'f32'),
      arena.tensor('alternatives', [places], 'u32'),
      arena.tensor('alternatives’ log-probabilities', [places], 'f32'),
    ]);
    const { nextIds, finished, outputCount } = t;
    this.commands = tokenLogps(gpu, { logits, nextIds, finished, outputCount, logps, topIds, topLogps }, options);
  }

  get sizeBytes(): number {
    return this.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Of the tokens from … to of a row, out of the bytes of `tensors`. */
  read([logps, topIds, topLogps]: readonly ArrayBuffer[], row: number, from: number, to: number): TokenProbability[] {
    const { maxNewTokens, alternatives: K } = this.options;
    const [own, ids, others] = [new Float32Array(logps!), new Uint32Array(topIds!), new Float32Array(topLogps!)];
    return Array.from({ length: to - from }, (_, i) => {
      const at = row * maxNewTokens + from + i;
      const alternatives = Array.from({ length: K }, (_, k) => {
        return { id: ids[at * K + k]!, logprob: others[at * K + k]! };
      });
      return { logprob: own[at]!, alternatives: alternatives.filter(({ id }) => id !== NO_TOKEN) };
    });
  }
}
