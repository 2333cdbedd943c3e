// generator.ts: batched decoding with a key-value cache, sampling on the GPU. Prompts are prefilled as packed batches; then
// several tokens are decoded per submission, and in between finished sequences give their rows to waiting prompts
// (decodeRows.ts says which). A prompt's continuation depends on the seed, the stream and its sequence number, never on what
// else is in the batch.
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
import { softcapLogits } from '../kernels/head';
import { linearForward } from '../kernels/linear';
import { rmsnormForward } from '../kernels/rmsnorm';
import { FINISHED, sampleTokens } from '../kernels/sampling';
import type { BlockContext } from './adaptedLinear';
import type { Adapter } from './adapter';
import { packSequences } from './batch';
import { expectGenerationBindable } from './bindingLimits';
import { makeActivations } from './blockTensors';
import { DecodeRows, type Answer, type Decoding } from './decodeRows';
import { blockDecode, blockForward, type LayerCache } from './decoder';
import { generatorTensors, type GeneratorTensors } from './generatorTensors';
import type { Student } from './student';
import { TokenProbabilities, type NewTokens } from './tokenProbabilities';

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
  /** Keep the log-probability of every token and of so many alternatives, for `onTokens`. */
  probabilities?: { alternatives: number };
}

export type Generation = Answer;

/** Tokens decoded between two looks at the batch: few reads against rows that have ended. Software adapters pay by the row. */
const STEPS_PER_SUBMISSION = { software: 2, hardware: 8 };
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
  private readonly t: GeneratorTensors;
  private readonly probabilities: TokenProbabilities | undefined;

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
    const N = (this.prefillCapacity = Math.max(maxPromptTokens, Math.min(B * maxPromptTokens, PREFILL_TOKENS)));
    const { cacheCapacity } = this;
    expectGenerationBindable(gpu, config, { batchSize: B, cacheCapacity, prefillTokens: N });
    const arena = (this.arena = gpu.arena('generation'));
    const { hiddenSize: C, kvHeads, headSize: K, layers: L, vocabSize: V } = config;
    this.promptRows = new Rows(gpu, arena, 'prompt tokens', N);
    this.lastRows = new Rows(gpu, arena, 'prompt ends', B);
    this.batchRows = new Rows(gpu, arena, 'sequences', B);
    const t = (this.t = generatorTensors(arena, B, N, maxNewTokens));
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
        { rows: this.promptRows, scale: config.embeddingScale },
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
    const alternatives = options.probabilities?.alternatives;
    this.probabilities =
      alternatives === undefined
        ? undefined
        : new TokenProbabilities(gpu, arena, logits, t, { rows, vocab: V, maxNewTokens, alternatives });
    this.first = [
      ...rmsnormForward(
        gpu,
        { x: hidden[finalSlot]!, weight: student.finalNorm, y: normed, inverseRms },
        { rows, epsilon: config.rmsNormEps },
      ),
      ...linearForward(gpu, { x: normed, y: logits }, { rows, weight: student.head }),
      ...softcapLogits(gpu, logits, { rows, cap: config.finalSoftcap }),
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
          cacheStarts: t.cacheStarts,
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
          drawn: this.probabilities?.commands ?? [],
        },
      ),
    ];
    const activations = makeActivations(arena, student, adapter, B, 'decode');
    const scratch = { branch: arena.tensor('decode branch', [B, C]) };
    this.step = [
      ...embeddingForward(
        gpu,
        { ids: t.nextIds, table: student.embedding.data, y: hidden[0]! },
        { rows, scale: config.embeddingScale },
      ),
      ...student.layers.flatMap((_, l) =>
        blockDecode(
          context(rows),
          l,
          hidden[l % 2]!,
          hidden[(l + 1) % 2]!,
          t.nextPositions,
          { lengths: t.lengths, cacheStarts: t.cacheStarts },
          activations,
          scratch,
          { ...caches[l]!, slots: t.nextSlots },
          this.cacheCapacity,
        ),
      ),
      ...this.first,
    ];
    const readBytes = 4 * B * (maxNewTokens + 2) + (this.probabilities?.sizeBytes ?? 0);
    this.ring = new StagingRing(gpu, arena, 'generation', 2, Math.max(256, readBytes));
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
   * Continues every prompt, as many side by side as the batch has rows. Prompt p has sequence number firstSequence + p.
   * @param options onAnswers is awaited whenever further answers are complete, with all before the first incomplete one; it
   *   may throw to stop. What has been generated behind that one is lost then. onTokens is awaited after every submission
   *   with what it brought, and may throw to stop as well.
   * @throws PupilError `shape` for an empty prompt, one longer than maxPromptTokens, or ids outside the vocabulary.
   */
  async generate(
    prompts: readonly (readonly number[])[],
    options: {
      seed: number;
      stream: string;
      firstSequence?: number;
      onProgress?: ProgressListener;
      onAnswers?: (answers: readonly Generation[]) => Promise<void>;
      onTokens?: (news: readonly NewTokens[]) => Promise<void> | void;
      signal?: AbortSignal;
    },
  ): Promise<Generation[]> {
    this.check(prompts);
    const { gpu, t } = this;
    const { seed, stream, firstSequence = 0 } = options;
    gpu.write(t.state, Uint32Array.of(seed, streamId(stream), 0, 0));
    const batch = new DecodeRows(prompts.length, this.options.batchSize);
    let answers: Generation[] = [];
    let moved = false;
    while (!batch.done) {
      throwIfCancelled(options.signal, 'Generating');
      const fresh = batch.admit();
      if (moved || fresh > 0) this.layOut(batch.rows, prompts, firstSequence);
      if (fresh > 0) this.prefillRows(batch.rows.slice(0, fresh), prompts);
      const before = batch.completed;
      const news = await this.decode(batch.rows);
      moved = batch.take(news);
      await options.onTokens?.(news);
      if (batch.completed === before) continue;
      options.onProgress?.({ task: 'Generating', done: batch.completed, total: prompts.length, unit: 'answers' });
      const inOrder = batch.answersInOrder();
      if (inOrder.length > answers.length) await options.onAnswers?.(inOrder);
      answers = inOrder;
    }
    return answers;
  }

  private check(prompts: readonly (readonly number[])[]): void {
    const { maxPromptTokens } = this.options;
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
  }

  /** Writes what the GPU knows of each row: everything follows from the prompts and the ids so far. */
  private layOut(rows: readonly Decoding[], prompts: readonly (readonly number[])[], firstSequence: number): void {
    const { gpu, t, cacheCapacity } = this;
    const write = (tensor: Tensor, value: (row: Decoding) => number): void =>
      gpu.write(tensor, Uint32Array.from(rows, value));
    const length = ({ prompt, ids }: Decoding): number => prompts[prompt]!.length + ids.length;
    // Of a row without a token, prefill needs the length and the cache; the rest is written with its first token.
    const position = (row: Decoding): number => length(row) - 1;
    write(t.sequences, (row) => firstSequence + row.prompt);
    write(t.cacheStarts, (row) => row.place * cacheCapacity);
    write(t.lengths, length);
    write(t.finished, () => FINISHED.running);
    write(t.outputCount, (row) => row.ids.length);
    write(t.nextIds, (row) => row.ids.at(-1) ?? 0);
    write(t.nextPositions, position);
    write(t.nextSlots, (row) => row.place * cacheCapacity + position(row));
  }

  /** Fills the caches of the first rows, as few submissions as the capacity allows, and draws their first tokens. */
  private prefillRows(fresh: readonly Decoding[], prompts: readonly (readonly number[])[]): void {
    for (let from = 0; from < fresh.length;) {
      let to = from;
      let tokens = 0;
      while (to < fresh.length) {
        const more = prompts[fresh[to]!.prompt]!.length;
        if (to > from && tokens + more > this.prefillCapacity) break;
        tokens += more;
        to++;
      }
      this.prefillPrompts(fresh.slice(from, to), from, prompts);
      from = to;
    }
    this.batchRows.set(fresh.length);
    new Recorder(this.gpu, 'first tokens').add(...this.first).submit();
  }

  /** Packs the prompts of rows firstRow… through the blocks, filling their caches; their last hidden states stay. */
  private prefillPrompts(fresh: readonly Decoding[], firstRow: number, prompts: readonly (readonly number[])[]): void {
    const { gpu, t, cacheCapacity } = this;
    const packed = packSequences(fresh.map(({ prompt }) => ({ ids: prompts[prompt]! })));
    const { positions, ids } = packed;
    const slots = new Uint32Array(ids.length);
    const lastIndex = new Uint32Array(fresh.length);
    let at = 0;
    fresh.forEach(({ prompt, place }, p) => {
      const end = at + prompts[prompt]!.length;
      for (; at < end; at++) slots[at] = place * cacheCapacity + positions[at]!;
      lastIndex[p] = end - 1;
    });
    this.promptRows.set(ids.length);
    this.lastRows.set(fresh.length);
    gpu.write(t.ids, ids);
    gpu.write(t.positions, positions);
    gpu.write(t.sequenceStart, packed.sequenceStart);
    gpu.write(t.slots, slots);
    gpu.write(t.lastIndex, lastIndex);
    gpu.write(
      t.rowIndex,
      Uint32Array.from(fresh, (_, p) => firstRow + p),
    );
    new Recorder(gpu, 'prefill').add(...this.prefill).submit();
  }

  /** Some tokens for every row; what they are, and which rows have ended. */
  private async decode(rows: readonly Decoding[]): Promise<NewTokens[]> {
    const { gpu, t, probabilities } = this;
    const { maxNewTokens } = this.options;
    // A row that has told no token yet has drawn its first.
    const left = rows.reduce((most, { ids }) => Math.max(most, maxNewTokens - Math.max(1, ids.length)), 0);
    const steps = gpu.adapter.software ? STEPS_PER_SUBMISSION.software : STEPS_PER_SUBMISSION.hardware;
    this.batchRows.set(rows.length);
    const recorder = new Recorder(gpu, 'decode');
    for (let i = 0; i < Math.min(left, steps); i++) recorder.add(...this.step);
    await this.ring.free();
    const read = this.ring.copy(recorder, [t.output, t.outputCount, t.finished, ...(probabilities?.tensors ?? [])]);
    recorder.submit();
    const bytes = await read();
    const [output, counts, finished] = bytes.slice(0, 3).map((one) => new Uint32Array(one));
    const broken = rows.findIndex((_, r) => finished![r] === FINISHED.notFinite);
    if (broken >= 0) {
      throw new PupilError(
        'training',
        `generate: the logits must be finite, those of prompt ${rows[broken]!.prompt} are not after ${counts![broken]!} tokens`,
        'The student or its adapter holds numbers that are not finite, or so large that f32 overflows: train it anew with a lower learning rate.',
      );
    }
    return rows.map(({ prompt, ids }, r): NewTokens => {
      const [from, to] = [ids.length, counts![r]!];
      const stopped = finished![r] === FINISHED.endToken ? 'eos' : 'length';
      return {
        prompt,
        ids: Array.from(output!.subarray(r * maxNewTokens + from, r * maxNewTokens + to)),
        ...(probabilities === undefined ? {} : { probabilities: probabilities.read(bytes.slice(3), r, from, to) }),
        ...(finished![r] === FINISHED.running ? {} : { stopped }),
      };
    });
  }
}
