// generator.ts: batched decoding with a key-value cache, sampling on the GPU. Prompts are prefilled as packed batches; then
// several tokens are decoded per submission and only flags are read in between. A prompt's continuation depends on the seed,
// the stream and its sequence number, never on what else is in the batch.
import { PupilError } from '../base/errors';
import { throwIfCancelled, type ProgressListener } from '../base/progress';
import { streamId } from '../base/random';
import { Recorder, type Command } from '../gpu/commands';
import type { Gpu } from '../gpu/device';
import { StagingRing } from '../gpu/readback';
import { Rows } from '../gpu/rows';
import type { Arena, Tensor } from '../gpu/tensor';
import { gatherRows, scatterRows } from '../kernels/elementwise';
import { embeddingForward } from '../kernels/embedding';
import { linearForward } from '../kernels/linear';
import { rmsnormForward } from '../kernels/rmsnorm';
import { FINISHED, sampleTokens } from '../kernels/sampling';
import type { BlockContext } from './adaptedLinear';
import type { Adapter } from './adapter';
import { packSequences } from './batch';
import { makeActivations } from './blockTensors';
import { blockDecode, blockForward, type LayerCache } from './decoder';
import type { Student } from './student';

export interface GeneratorOptions {
  /** Sequences decoded side by side. */
  batchSize: number;
  /** Longest prompt that will be given. */
  maxPromptTokens: number;
  maxNewTokens: number;
  /** 0 = greedy. */
  temperature: number;
  /** 0 or absent = off. */
  topK?: number;
  /** 1 or absent = off. */
  topP?: number;
  eosIds: readonly number[];
}

export interface Generation {
  /** New ids only, without the eos. */
  ids: number[];
  stopped: 'eos' | 'length';
}

/** Tokens decoded between two looks at the flags: few reads, little wasted work. */
const STEPS_PER_SUBMISSION = 8;
/** Prompt tokens prefilled in one submission; longer batches take several. */
const PREFILL_TOKENS = 2048;

export class Generator {
  private readonly gpu: Gpu;
  private readonly arena: Arena;
  private readonly promptRows: Rows;
  private readonly batchRows: Rows;
  private readonly lastRows: Rows;
  private readonly prefillCapacity: number;
  private readonly cacheCapacity: number;
  private readonly prefill: Command[];
  private readonly first: Command[];
  private readonly step: Command[];
  private readonly ring: StagingRing;
  private readonly t: Record<
    | 'ids'
    | 'positions'
    | 'sequenceStart'
    | 'slots'
    | 'lastIndex'
    | 'rowIndex'
    | 'sequences'
    | 'state'
    | 'lengths'
    | 'finished'
    | 'output'
    | 'outputCount'
    | 'nextIds'
    | 'nextPositions'
    | 'nextSlots',
    Tensor
  >;

  constructor(
    readonly student: Student,
    readonly adapter: Adapter | undefined,
    readonly options: GeneratorOptions,
  ) {
    const gpu = (this.gpu = student.gpu);
    const { batchSize: B, maxPromptTokens, maxNewTokens } = options;
    const { config } = student;
    for (const [name, value] of Object.entries({ batchSize: B, maxPromptTokens, maxNewTokens })) {
      if (!Number.isInteger(value) || value < 1)
        throw new PupilError('config', `Generator: ${name} must be ≥ 1, got ${value}`);
    }
    this.cacheCapacity = maxPromptTokens + maxNewTokens;
    if (this.cacheCapacity > config.maxPositions) {
      throw new PupilError(
        'config',
        `Generator: a prompt of ${maxPromptTokens} and ${maxNewTokens} new tokens exceed the student's context of ${config.maxPositions}`,
        'Lower max-new-tokens or shorten the prompt.',
      );
    }
    const arena = (this.arena = gpu.arena('generation'));
    const N = (this.prefillCapacity = Math.max(maxPromptTokens, Math.min(B * maxPromptTokens, PREFILL_TOKENS)));
    const { hiddenSize: C, kvHeads, headSize: K, layers: L, vocabSize: V } = config;
    const u32 = (label: string, size: number): Tensor => arena.tensor(label, [size], 'u32');
    this.promptRows = new Rows(gpu, arena, 'prompt tokens', N);
    this.lastRows = new Rows(gpu, arena, 'prompt ends', B);
    this.batchRows = new Rows(gpu, arena, 'sequences', B);
    const t = (this.t = {
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
    });
    const caches = student.layers.map((_, l): Omit<LayerCache, 'slots'> => ({
      keys: arena.tensor(`keys ${l}`, [B * this.cacheCapacity, kvHeads * K]),
      values: arena.tensor(`values ${l}`, [B * this.cacheCapacity, kvHeads * K]),
    }));

    // Prefill: packed prompts through all blocks; each prompt's last hidden state goes to its row.
    const promptX = [arena.tensor('prompt residual 0', [N, C]), arena.tensor('prompt residual 1', [N, C])];
    const promptActivations = makeActivations(arena, student, adapter, N, 'prompt');
    const promptScratch = { branch: arena.tensor('prompt branch', [N, C]) };
    const lastHidden = arena.tensor('last hidden', [B, C]);
    const hidden = [arena.tensor('hidden 0', [B, C]), arena.tensor('hidden 1', [B, C])];
    const context = (rows: Rows): BlockContext => ({ gpu, student, adapter, rows, dropout: undefined });
    const structure = { positions: t.positions, sequenceStart: t.sequenceStart, sequenceEnd: t.sequenceStart };
    const finalSlot = L % 2;
    this.prefill = [
      ...embeddingForward(
        gpu,
        { ids: t.ids, table: student.embedding.data, y: promptX[0]! },
        { rows: this.promptRows },
      ),
      ...student.layers.flatMap((_, l) =>
        blockForward(
          context(this.promptRows),
          l,
          promptX[l % 2]!,
          promptX[(l + 1) % 2]!,
          structure,
          promptActivations,
          promptScratch,
          { ...caches[l]!, slots: t.slots },
        ),
      ),
      ...gatherRows(
        gpu,
        { x: promptX[finalSlot]!, index: t.lastIndex, y: lastHidden },
        { rows: this.lastRows, width: C },
      ),
      ...scatterRows(
        gpu,
        { x: lastHidden, index: t.rowIndex, y: hidden[finalSlot]! },
        { rows: this.lastRows, width: C },
      ),
    ];

    // Head and sampling, shared by the first token and all later ones.
    const normed = arena.tensor('normed', [B, C]);
    const inverseRms = arena.tensor('inverse rms', [B]);
    const logits = arena.tensor('logits', [B, V]);
    const rows = this.batchRows;
    this.first = [
      ...rmsnormForward(
        gpu,
        { x: hidden[finalSlot]!, weight: student.finalNorm, y: normed, inverseRms },
        { rows, epsilon: config.rmsNormEps },
      ),
      ...linearForward(gpu, { x: normed, y: logits }, { rows, weight: student.head }),
      ...sampleTokens(
        gpu,
        {
          logits,
          sequences: t.sequences,
          state: t.state,
          lengths: t.lengths,
          finished: t.finished,
          output: t.output,
          outputCount: t.outputCount,
          nextIds: t.nextIds,
          nextPositions: t.nextPositions,
          nextSlots: t.nextSlots,
        },
        {
          rows,
          vocab: V,
          maxNewTokens,
          cacheCapacity: this.cacheCapacity,
          eosIds: [...options.eosIds],
          temperature: options.temperature,
          topK: options.topK ?? 0,
          topP: options.topP ?? 1,
        },
      ),
    ];
    const activations = makeActivations(arena, student, adapter, B, 'decode');
    const scratch = { branch: arena.tensor('decode branch', [B, C]) };
    this.step = [
      ...embeddingForward(gpu, { ids: t.nextIds, table: student.embedding.data, y: hidden[0]! }, { rows }),
      ...student.layers.flatMap((_, l) =>
        blockDecode(
          context(rows),
          l,
          hidden[l % 2]!,
          hidden[(l + 1) % 2]!,
          t.nextPositions,
          t.lengths,
          activations,
          scratch,
          { ...caches[l]!, slots: t.nextSlots },
          this.cacheCapacity,
        ),
      ),
      ...this.first,
    ];
    this.ring = new StagingRing(gpu, arena, 'generation', 2, Math.max(256, 4 * B * (maxNewTokens + 2)));
  }

  get sizeBytes(): number {
    return this.arena.sizeBytes;
  }

  async ready(): Promise<void> {
    await this.gpu.settled();
  }

  destroy(): void {
    this.arena.destroy();
  }

  /**
   * Continues every prompt. Prompt p has sequence number firstSequence + p.
   * @throws PupilError `shape` for an empty prompt, one longer than maxPromptTokens, or ids outside the vocabulary.
   */
  async generate(
    prompts: readonly (readonly number[])[],
    options: {
      seed: number;
      stream: string;
      firstSequence?: number;
      onProgress?: ProgressListener;
      signal?: AbortSignal;
    },
  ): Promise<Generation[]> {
    const { batchSize: B, maxPromptTokens } = this.options;
    const V = this.student.config.vocabSize;
    prompts.forEach((prompt, p) => {
      if (prompt.length < 1 || prompt.length > maxPromptTokens) {
        throw new PupilError(
          'shape',
          `generate: prompt ${p} has ${prompt.length} tokens, expected 1 to ${maxPromptTokens}`,
        );
      }
      const bad = prompt.find((id) => !(Number.isInteger(id) && id >= 0 && id < V));
      if (bad !== undefined)
        throw new PupilError('shape', `generate: prompt ${p} has token id ${bad}, the vocabulary has ${V}`);
    });
    const results: Generation[] = [];
    const firstSequence = options.firstSequence ?? 0;
    for (let at = 0; at < prompts.length; at += B) {
      throwIfCancelled(options.signal, 'Generating');
      const group = prompts.slice(at, at + B);
      results.push(...(await this.generateGroup(group, firstSequence + at, options)));
      options.onProgress?.({ task: 'Generating', done: results.length, total: prompts.length, unit: 'answers' });
    }
    return results;
  }

  private async generateGroup(
    prompts: readonly (readonly number[])[],
    firstSequence: number,
    { seed, stream, signal }: { seed: number; stream: string; signal?: AbortSignal },
  ): Promise<Generation[]> {
    const { gpu, t } = this;
    const { maxNewTokens } = this.options;
    const B = prompts.length;
    this.batchRows.set(B);
    gpu.write(
      t.sequences,
      Uint32Array.from(prompts, (_, b) => firstSequence + b),
    );
    gpu.write(t.state, Uint32Array.of(seed, streamId(stream), 0, 0));
    gpu.write(
      t.lengths,
      Uint32Array.from(prompts, (p) => p.length),
    );
    gpu.write(t.finished, new Uint32Array(B));
    gpu.write(t.outputCount, new Uint32Array(B));

    for (let from = 0; from < B;) {
      let to = from;
      let tokens = 0;
      while (to < B && (to === from || tokens + prompts[to]!.length <= this.prefillCapacity))
        tokens += prompts[to++]!.length;
      this.prefillPrompts(prompts.slice(from, to), from);
      from = to;
    }

    let generated = 0;
    for (let done = false; !done;) {
      throwIfCancelled(signal, 'Generating');
      const recorder = new Recorder(gpu, 'decode');
      for (let i = 0; i < STEPS_PER_SUBMISSION && generated < maxNewTokens; i++, generated++) {
        recorder.add(...(generated === 0 ? this.first : this.step));
      }
      await this.ring.free();
      const read = this.ring.copy(recorder, [t.finished]);
      recorder.submit();
      const finished = new Uint32Array((await read())[0]!);
      done = generated >= maxNewTokens || finished.subarray(0, B).every((flag) => flag !== 0);
    }

    await this.ring.free();
    const recorder = new Recorder(gpu, 'read answers');
    const read = this.ring.copy(recorder, [t.output, t.outputCount, t.finished]);
    recorder.submit();
    const [output, counts, finished] = (await read()).map((bytes) => new Uint32Array(bytes));
    return prompts.map((_, b) => {
      const ids = Array.from(output!.subarray(b * maxNewTokens, b * maxNewTokens + counts![b]!));
      // The end token is emitted as well; it is not part of the answer.
      return finished![b] === FINISHED.endToken
        ? { ids: ids.slice(0, -1), stopped: 'eos' }
        : { ids, stopped: 'length' };
    });
  }

  /** Packs the prompts of rows firstRow… through the blocks, filling the cache. */
  private prefillPrompts(prompts: readonly (readonly number[])[], firstRow: number): void {
    const { gpu, t } = this;
    const packed = packSequences(prompts.map((ids) => ({ ids })));
    const slots = new Uint32Array(packed.ids.length);
    const lastIndex = new Uint32Array(prompts.length);
    const rowIndex = new Uint32Array(prompts.length);
    let at = 0;
    prompts.forEach((prompt, p) => {
      for (let i = 0; i < prompt.length; i++) slots[at + i] = (firstRow + p) * this.cacheCapacity + i;
      at += prompt.length;
      lastIndex[p] = at - 1;
      rowIndex[p] = firstRow + p;
    });
    this.promptRows.set(packed.ids.length);
    this.lastRows.set(prompts.length);
    gpu.write(t.ids, packed.ids);
    gpu.write(t.positions, packed.positions);
    gpu.write(t.sequenceStart, packed.sequenceStart);
    gpu.write(t.slots, slots);
    gpu.write(t.lastIndex, lastIndex);
    gpu.write(t.rowIndex, rowIndex);
    new Recorder(gpu, 'prefill').add(...this.prefill).submit();
  }
}
