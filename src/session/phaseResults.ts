// phaseResults.ts: what a phase computed, kept where other runs find it: one file a result in a folder that runs share, named
// by the SHA-256 of everything that it follows from. Before a phase, the run looks whether its result is there; after it,
// it puts it there. So an instructed adapter that ten runs start from is trained once, and a run that takes it goes on
// with the same bits as one that trained it itself. How a phase computes is phases.ts and evaluation.ts.
import { toPlainError } from '../base/errors';
import type { ByteSource } from '../formats/byteSource';
import { readSafetensorsHeader, readTensorBytes } from '../formats/safetensors';
import { writeSafetensorsParts } from '../formats/safetensorsWrite';
import { sha256Of, type CheckpointPart } from '../formats/trainingCheckpoint';
import type { PhaseName, SystemName } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import { writeStream } from '../sources/writeStream';
import type { RunBook } from './book';
import type { RunAssets } from './phases';
import type { EvaluatedSystem } from './evaluation';
import { addMetrics, type RunState, type RunTensors } from './runState';
import { stateOf, StateParts } from './stateParts';

/** Raised when a result of an earlier version must not be taken any more although its inputs are the same. */
const VERSION = 1;
const FORMAT = 'pupil-phase-result';
/** With which a phase begins the lines that it logs. */
const LOGGED: Partial<Record<PhaseName, readonly string[]>> = {
  instruct: ['instruct: '],
  control: ['control: '],
  'generate-pairs': ['pairs: '],
  'self-refine': ['self-refine: '],
};
/** What is said here of a result: of this run's taking and putting, so no part of the result. */
const ABOUT_SHARING =
  /: (taken from the shared results|a shared result could not be used|its result could not be shared)/;
/** The tensors that a phase leaves behind. */
const LEAVES: Partial<Record<PhaseName, keyof RunTensors>> = {
  instruct: 'instructed',
  control: 'control',
  'self-refine': 'refined',
};

/** A phase, or one system's part of the evaluation. */
export interface SharedWork {
  phase: PhaseName;
  /** Whose evaluation it is; absent: a phase that trains or samples. */
  system?: SystemName;
  /** All that the result follows from beside student, adapter's settings, device and seed. JSON. */
  inputs: unknown;
}

export class PhaseResults {
  private readonly device: unknown;

  constructor(
    private readonly root: OpenRoot,
    private readonly book: RunBook,
    { experiment, eosIds }: RunAssets,
  ) {
    const { environment, student } = book.state;
    const { vendor, architecture, device, description, tier, variants, pupilVersion } = environment;
    const { fingerprint, quantize } = student;
    this.device = {
      version: VERSION,
      ...{ vendor, architecture, device, description, tier, variants, pupilVersion, fingerprint, quantize, eosIds },
      ...{ adapter: experiment.adapter, seed: experiment.seed },
    };
  }

  /** Takes the work's result where there is one; else computes it, and puts it there for others. */
  async share(work: SharedWork, compute: () => Promise<void>): Promise<void> {
    const path = `${await this.keyOf(work)}.safetensors`;
    if (await this.take(work, path)) return;
    await compute();
    await this.put(work, path);
  }

  private async keyOf({ phase, system, inputs }: SharedWork): Promise<string> {
    return sha256Of(new TextEncoder().encode(JSON.stringify({ device: this.device, phase, system, inputs })));
  }

  /** True where the result was there, intact, and is now the run's own. */
  private async take(work: SharedWork, path: string): Promise<boolean> {
    let found: RunState;
    let madeBy: string;
    try {
      const source = await this.root.open(path);
      if (source === undefined) return false;
      const { parts, metadata } = await readParts(source);
      madeBy = `${metadata['runId'] ?? 'a run'} on ${metadata['madeAt'] ?? 'an unknown day'}`;
      found = stateOf(parts, path);
      const leaves = LEAVES[work.phase];
      if (leaves !== undefined && found.tensors[leaves] === undefined) throw new Error(`it lacks ${leaves}`);
    } catch (error) {
      this.warn(work, `a shared result could not be used, so it is computed again: ${toPlainError(error).message}`);
      return false;
    }
    this.adopt(work, found);
    this.book.log('info', `${nameOf(work)}: taken from the shared results, made by ${madeBy}`);
    return true;
  }

  /** The run's state as if it had done the work itself, and its listeners told. */
  private adopt({ phase, system }: SharedWork, found: RunState): void {
    const { book } = this;
    const { state } = book;
    book.restartClock(); // reading is no part of the phase's time
    const foreign = ({ system: whose }: { system: SystemName }): boolean => whose !== system;
    if (system !== undefined) {
      state.predictions = [...state.predictions.filter(foreign), ...found.predictions];
      if (found.votes !== undefined) state.votes = [...(state.votes ?? []).filter(foreign), ...found.votes];
      state.evaluations = [...state.evaluations.filter(foreign), ...found.evaluations];
      for (const row of found.evaluations) book.emit({ type: 'evaluation', row });
    } else {
      state.timings = [...state.timings.filter((row) => row.phase !== phase), ...found.timings];
    }
    for (const row of found.metrics) {
      addMetrics(state, row);
      book.emit({ type: 'metrics', ...row });
    }
    for (const { level, message } of found.log) book.log(level, message);
    if (found.pairs !== undefined) {
      state.pairs = found.pairs;
      book.emit({ type: 'pairs', counts: found.pairs.counts });
    }
    if (found.kept !== undefined) state.kept = found.kept;
    state.gpuPeak = Math.max(state.gpuPeak, found.gpuPeak);
    Object.assign(state.tensors, found.tensors);
    // Of an earlier sitting, which had begun the work.
    delete state.pending;
    delete state.pendingLetters;
    delete state.plainAnswers;
    delete state.best;
    for (const name of ['adapter', 'm', 'v', 'best', 'reference'] as const) delete state.tensors[name];
    state.step = 0;
  }

  private async put(work: SharedWork, path: string): Promise<void> {
    const { runId, state } = this.book;
    try {
      const parts = await new StateParts().of(resultIn(state, work));
      const metadata = { format: FORMAT, runId, madeAt: new Date().toISOString(), work: nameOf(work) };
      await writeParts(this.root, path, parts, metadata);
    } catch (error) {
      // The run has what it needs; the next one computes it again.
      this.warn(work, `its result could not be shared: ${toPlainError(error).message}`);
    }
  }

  private warn(work: SharedWork, text: string): void {
    this.book.log('warning', `${nameOf(work)}: ${text}`);
  }
}

const nameOf = ({ phase, system }: SharedWork): string => (system === undefined ? phase : `${phase} ${system}`);

/** Of a state what one piece of work has put there. */
function resultIn(state: RunState, { phase, system }: SharedWork): RunState {
  const own = ({ system: whose }: { system: SystemName }): boolean => whose === system;
  const leaves = LEAVES[phase];
  const begins = LOGGED[phase] ?? [];
  const { startedAt, experiment, environment, student, data, gpuPeak } = state;
  return {
    ...{ startedAt, experiment, environment, student, data, phase, gpuPeak },
    ...{ step: 0, sequence: 0, checkpointBytes: 0, adapterFileBytes: 0 },
    metrics: system === undefined ? state.metrics.filter((row) => row.phase === phase) : [],
    evaluations: state.evaluations.filter(own),
    predictions: state.predictions.filter(own),
    ...(state.votes === undefined ? {} : { votes: state.votes.filter(own) }),
    ...(phase === 'generate-pairs' && state.pairs !== undefined ? { pairs: state.pairs } : {}),
    ...(phase === 'self-refine' && state.kept !== undefined ? { kept: state.kept } : {}),
    timings: state.timings.filter((row) => row.phase === phase),
    log:
      system !== undefined
        ? []
        : state.log.filter(
            ({ message }) => begins.some((word) => message.startsWith(word)) && !ABOUT_SHARING.test(message),
          ),
    tensors: leaves === undefined || state.tensors[leaves] === undefined ? {} : { [leaves]: state.tensors[leaves] },
  };
}

/** Parts as one file: tensors of bytes, their SHA-256 in the metadata. */
async function writeParts(
  root: OpenRoot,
  path: string,
  parts: readonly CheckpointPart[],
  metadata: Record<string, string>,
): Promise<void> {
  const bytesOf = new Map(parts.map(({ name, bytes }) => [name, bytes]));
  const specs = parts.map(({ name, bytes }) => ({ name, dtype: 'u8' as const, shape: [bytes.byteLength] }));
  const sums = JSON.stringify(Object.fromEntries(parts.map(({ name, sha256 }) => [name, sha256])));
  const file = writeSafetensorsParts(specs, ({ name }) => Promise.resolve(bytesOf.get(name)!), {
    ...metadata,
    sha256: sums,
  });
  await writeStream(root, path, file.parts());
}

/** @throws PupilError `format`, or Error where a part is not what its SHA-256 says */
async function readParts(
  source: ByteSource,
): Promise<{ parts: Map<string, Uint8Array>; metadata: Readonly<Record<string, string>> }> {
  const file = await readSafetensorsHeader(source);
  const metadata = file.metadata;
  if (metadata['format'] !== FORMAT) throw new Error(`${source.name} is no result of a phase`);
  const sums = JSON.parse(metadata['sha256'] ?? '{}') as Record<string, string>;
  const parts = new Map<string, Uint8Array>();
  for (const name of file.tensors.keys()) {
    const bytes = await readTensorBytes(file, name);
    if ((await sha256Of(bytes)) !== sums[name]) throw new Error(`${source.name}: part "${name}" is damaged`);
    parts.set(name, bytes);
  }
  if (parts.size !== Object.keys(sums).length) throw new Error(`${source.name}: parts are missing`);
  return { parts, metadata };
}

/** What a phase's result follows from. Undefined where the phase computes nothing that others could use. */
export async function phaseInputs(
  phase: PhaseName,
  { tensors, pairs }: RunState,
  { experiment, prepared }: RunAssets,
): Promise<unknown> {
  const { instruct, control = false, selfRefine } = experiment.phases;
  const { examples } = prepared;
  const instructed = await digestOf(tensors.instructed);
  switch (phase) {
    case 'instruct':
      return instruct === false ? undefined : { examples, instruct };
    case 'control':
      return { examples, instruct, control, instructed };
    case 'generate-pairs': {
      const items = prepared.refineItems.map(({ isCorrect: _, ...item }) => item);
      // Without phase 1 the instructed parameters are the untouched ones, which the seed says.
      return selfRefine === false ? undefined : { items, selfRefine, instructed, eosId: prepared.eosId };
    }
    case 'self-refine':
      return selfRefine === false ? undefined : { pairs, selfRefine, instructed };
    default:
      return undefined;
  }
}

/** What a system's evaluation follows from; `parameters` are undefined for the untouched student. */
export async function evaluationInputs(
  { wrap, prompts }: Pick<EvaluatedSystem, 'wrap' | 'prompts'>,
  parameters: Float32Array | undefined,
  { experiment, prepared }: RunAssets,
): Promise<unknown> {
  return {
    ...{ wrap, prompts, evaluation: experiment.evaluation, parameters: await digestOf(parameters) },
    tasks: prepared.tasks.map(({ config, questions, probes, items }) => ({
      ...{ id: config.id, name: config.name, probes: probes[wrap], items },
      questions: prompts.map((prompt) => questions[wrap][prompt].map(({ judges: _, ...question }) => question)),
    })),
  };
}

async function digestOf(data: Float32Array | undefined): Promise<string | undefined> {
  if (data === undefined) return undefined;
  return sha256Of(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}
