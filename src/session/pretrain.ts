// pretrain.ts: the bundled student made from nothing: corpus and tokenizer from their generators, weights from a seed, all of
// them trained, and the result as a Hugging Face checkpoint with a model card. It checkpoints, resumes bit for bit, and
// keeps its whole log. The training itself is recipes/pretrain.ts.
import { PupilError } from '../base/errors';
import { isJsonObject, type JsonObject } from '../formats/jsonText';
import { parseModelConfig } from '../formats/modelConfig';
import { inLibraryOrder, writeSafetensors } from '../formats/safetensorsWrite';
import { arrayPart, jsonPart, readArrayPart, readJsonPart, type CheckpointPart } from '../formats/trainingCheckpoint';
import type { Gpu } from '../gpu/device';
import { type Student } from '../model/student';
import { parameterCount } from '../model/parameterShapes';
import { Trainer } from '../model/trainer';
import { optimizer } from '../optim/optimizer';
import {
  PRETRAIN_START,
  pretrain,
  pretrainBounds,
  stableSteps,
  type PretrainCursor,
  type PretrainSettings,
} from '../recipes/pretrain';
import { modelCard, type PretrainingRow, type PretrainingSummary } from '../report/modelCard';
import type { OpenRoot } from '../sources/openRoot';
import { Checkpoints } from '../storage/checkpoints';
import { FilesPlace } from '../storage/filesPlace';
import type { StoredCheckpoint } from '../storage/runStore';
import { CORPUS_MIXES, LessonCorpus, type CorpusMixName } from '../tasks/lesson/corpus';
import { corpusStatistics } from '../tasks/lesson/corpusStatistics';
import { lessonTokenizerFiles } from '../tasks/lesson/tokenizerFiles';
import { LESSON_TOKENS, SPECIAL_TOKENS } from '../tasks/lesson/vocabulary';
import { wordPieces } from '../tasks/lesson/words';
import { describeEnvironment } from './load';
import { PRETRAIN_LOG, studentToTrain, type EarlierStudent, type StudentShape } from './pretrainStart';
import { differences } from './runState';
import { applyRecorded } from './variants';

export interface PretrainJob {
  gpu: Gpu;
  /** Where the student goes, and the checkpoint while it is being made. */
  out: OpenRoot;
  name: string;
  /** Of the corpus, and of the weights where there is no earlier student. */
  seed: number;
  mix: CorpusMixName;
  shape: StudentShape;
  /** Trained further, with moments of 0; its shape is `shape`. */
  earlier?: EarlierStudent | undefined;
  settings: PretrainSettings;
  checkpointEverySteps: number;
  /** Documents of the development loss. */
  developmentDocuments: number;
  /** Continue from the checkpoint in `out`. */
  resume: boolean;
  /** After each step, before any checkpoint of it. */
  onStep(row: PretrainingRow, cursor: PretrainCursor, settings: PretrainSettings): void;
  /** Aborted: write a checkpoint and end with `cancelled`. */
  signal?: AbortSignal;
}

/** Folder of the checkpoint within `out`; empty once the student is written. */
export const PRETRAIN_CHECKPOINT = 'checkpoint';

/** Development documents come from a stream of their own; the corpus of the run's seed never draws from it. */
const DEVELOPMENT_SEED_OFFSET = 0x80000000;
/** Documents of which the model card's statistics are taken. */
const STATISTICS_DOCUMENTS = 20_000;

const idOf = new Map(LESSON_TOKENS.map((token, id) => [token, id]));
const [BOS, EOS] = [idOf.get(SPECIAL_TOKENS.bos)!, idOf.get(SPECIAL_TOKENS.eos)!];

/** A document's ids, control tokens at its ends. Every word of the corpus is in the vocabulary (tested). */
function encodeDocument(text: string): number[] {
  return [BOS, ...wordPieces(text).map((word) => idOf.get(word)!), EOS];
}

function configJson(shape: StudentShape): JsonObject {
  return {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    bos_token_id: BOS,
    eos_token_id: EOS,
    head_dim: shape.hiddenSize / shape.heads,
    hidden_act: 'silu',
    hidden_size: shape.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: shape.intermediateSize,
    max_position_embeddings: shape.contextTokens,
    mlp_bias: false,
    model_type: 'llama',
    num_attention_heads: shape.heads,
    num_hidden_layers: shape.layers,
    num_key_value_heads: shape.heads,
    pad_token_id: idOf.get(SPECIAL_TOKENS.pad)!,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    torch_dtype: 'float32',
    vocab_size: LESSON_TOKENS.length,
  };
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

interface Saved {
  cursor: PretrainCursor;
  rows: PretrainingRow[];
  /** Seconds of training in all sittings. */
  seconds: number;
  /** Checkpoints written so far. */
  sequence: number;
}

/**
 * What must be the same for a resumed run to go on: everything that its numbers follow from. The number of steps is among
 * it, except while neither it nor the new one has any influence yet.
 */
function identity({ seed, mix, shape, settings, earlier }: PretrainJob): JsonObject {
  const from = earlier?.summary.sha256 ?? null;
  return { seed, mix, shape: { ...shape }, from, settings: { ...settings }, vocabulary: [...LESSON_TOKENS] };
}

/** Rows in a part: only the last one changes from checkpoint to checkpoint. */
const ROWS_PER_PART = 256;
const RUN_ID = 'pretraining';
const ARRAYS = ['values', 'm', 'v'] as const;
type Arrays = Record<(typeof ARRAYS)[number], Float32Array>;

/** The checkpoints of one folder. */
function checkpointsIn(out: OpenRoot): { place: FilesPlace; checkpoints: Checkpoints } {
  // The commit says everything; no list shows this run.
  const place = new FilesPlace(out, PRETRAIN_CHECKPOINT, () => Promise.resolve());
  return { place, checkpoints: new Checkpoints(() => place) };
}

async function checkpointParts(job: PretrainJob, saved: Saved, arrays: Arrays): Promise<CheckpointPart[]> {
  const { rows, ...state } = saved;
  const pieces = Array.from({ length: Math.ceil(rows.length / ROWS_PER_PART) }, (_, i) =>
    jsonPart(`rows/${i}`, rows.slice(i * ROWS_PER_PART, (i + 1) * ROWS_PER_PART)),
  );
  return Promise.all([
    jsonPart('run', { identity: identity(job), environment: describeEnvironment(job.gpu), state }),
    ...pieces,
    ...ARRAYS.map((name) => arrayPart(name, arrays[name])),
  ]);
}

function bytesOf({ parts }: StoredCheckpoint, name: string): Uint8Array {
  const bytes = parts.get(name);
  if (bytes !== undefined) return bytes;
  throw new PupilError('checkpoint', `${labelOf(name)}: expected a pretraining, that part is not there`);
}

const labelOf = (name: string): string => `${PRETRAIN_CHECKPOINT}/, part "${name}"`;

/** What was being made, on what, and how far it was; its device's variants are made this one's. */
function readBeginning(left: StoredCheckpoint, job: PretrainJob): JsonObject {
  const run = readJsonPart(bytesOf(left, 'run'), labelOf('run'));
  if (!isJsonObject(run) || !isJsonObject(run['identity']) || !isJsonObject(run['environment'])) {
    throw new PupilError('checkpoint', `${labelOf('run')}: expected a pretraining, it holds something else`);
  }
  const { identity: before, environment, state } = run as Record<string, JsonObject>;
  applyRecorded(job.gpu, environment as never, false);
  expectSame(job, before!, environment!, (state as unknown as Saved).cursor);
  return state!;
}

function readCheckpoint(left: StoredCheckpoint, state: JsonObject): { saved: Saved; arrays: Arrays } {
  const rows: PretrainingRow[] = [];
  for (let i = 0; left.parts.has(`rows/${i}`); i++) {
    rows.push(...(readJsonPart(bytesOf(left, `rows/${i}`), labelOf(`rows/${i}`)) as PretrainingRow[]));
  }
  const arrays = Object.fromEntries(
    ARRAYS.map((name) => [name, readArrayPart(bytesOf(left, name), labelOf(name))]),
  ) as Arrays;
  return { saved: { ...(state as unknown as Omit<Saved, 'rows'>), rows }, arrays };
}

function expectSame(job: PretrainJob, before: JsonObject, environment: JsonObject, { step }: PretrainCursor): void {
  const now = identity(job);
  const settings = before['settings'] as unknown as PretrainSettings;
  if (step <= Math.min(stableSteps(settings), stableSteps(job.settings))) {
    before = { ...before, settings: { ...settings, steps: job.settings.steps } };
  }
  const changed = Object.keys(now).filter((key) => JSON.stringify(now[key]) !== JSON.stringify(before[key]));
  const student = { fingerprint: '' } as never; // compared above, by seed and shape
  changed.push(
    ...differences(
      { environment: environment as never, student, data: '' },
      { environment: describeEnvironment(job.gpu), student, data: '' },
    ),
  );
  if (changed.length === 0) return;
  throw new PupilError(
    'checkpoint',
    `pretrain: expected the settings that ${PRETRAIN_CHECKPOINT}/ was made with, these differ: ${changed.join('; ')}`,
    'Use the settings and the adapter of its beginning, or start again in an empty folder.',
  );
}

/**
 * Trains to the end (or from the checkpoint in `out` to the end) and writes the student.
 *
 * @returns what the model card says.
 * @throws PupilError `checkpoint` where `out` holds another run's checkpoint, or one and `resume` was not asked for;
 *   `cancelled` once stopped, the checkpoint written.
 */
export async function pretrainStudent(job: PretrainJob): Promise<PretrainingSummary> {
  const { gpu, out, seed, settings } = job;
  const { place, checkpoints } = checkpointsIn(out);
  const left = await checkpoints.load(RUN_ID);
  if (left !== undefined && !job.resume) {
    throw new PupilError(
      'checkpoint',
      `pretrain: expected no pretraining under way, there is a checkpoint in ${place.description}`,
      'Continue it with --resume, or choose another folder.',
    );
  }
  if (left === undefined && job.resume) {
    throw new PupilError('checkpoint', `pretrain: expected a checkpoint in ${place.description}, there is none`);
  }
  // Before any kernel is prepared.
  const beginning = left === undefined ? undefined : readBeginning(left, job);
  const config = configJson(job.shape);
  const student = await studentToTrain(gpu, config, seed, job.earlier);
  let trainer: Trainer | undefined;
  try {
    trainer = new Trainer(student, undefined, {
      limits: pretrainBounds(settings),
      optimizer: optimizer('adamw'),
    });
    await trainer.ready();
    let saved: Saved = { cursor: PRETRAIN_START, rows: [], seconds: 0, sequence: 0 };
    if (left !== undefined) {
      const found = readCheckpoint(left, beginning!);
      saved = found.saved;
      student.parameters!.write(found.arrays.values);
      trainer.loadOptimizerState(found.arrays);
    }
    await train(job, student, trainer, checkpoints, saved);
    const summary = await writeStudent(job, student, config, saved);
    await place.clear();
    return summary;
  } finally {
    trainer?.destroy();
    student.destroy();
  }
}

/** Advances `saved` to the last step. */
async function train(
  job: PretrainJob,
  student: Student,
  trainer: Trainer,
  checkpoints: Checkpoints,
  saved: Saved,
): Promise<void> {
  const { seed, settings } = job;
  const corpus = new LessonCorpus(seed, CORPUS_MIXES[job.mix]);
  const heldOut = new LessonCorpus((seed + DEVELOPMENT_SEED_OFFSET) % 2 ** 32, CORPUS_MIXES[job.mix]);
  const development = Array.from({ length: job.developmentDocuments }, (_, i) =>
    encodeDocument(heldOut.document(i).text),
  );
  const save = async (): Promise<void> => {
    saved.sequence++;
    const arrays = { values: await student.parameters!.read(), ...(await trainer.optimizerState()) };
    const parts = await checkpointParts(job, saved, arrays);
    const record = {
      runId: RUN_ID,
      name: job.name,
      state: 'running',
      phase: 'pretrain',
      step: saved.cursor.step,
      updatedAt: new Date().toISOString(),
      sizeBytes: parts.reduce((sum, part) => sum + part.bytes.byteLength, 0),
      sequence: saved.sequence,
    };
    await checkpoints.save(record, parts);
  };
  let lastMs = performance.now();
  await pretrain(trainer, (index) => encodeDocument(corpus.document(index).text), settings, {
    from: saved.cursor,
    development,
    onStep: async (cursor, values) => {
      const nowMs = performance.now();
      saved.seconds += (nowMs - lastMs) / 1000;
      lastMs = nowMs;
      saved.cursor = cursor;
      const row = { step: cursor.step, ...values };
      saved.rows.push(row);
      job.onStep(row, cursor, settings);
      const stopping = job.signal?.aborted === true;
      if (stopping || cursor.step % job.checkpointEverySteps === 0 || cursor.step === settings.steps) await save();
      if (stopping && cursor.step < settings.steps) {
        throw new PupilError(
          'cancelled',
          `pretrain: stopped as asked after step ${cursor.step}`,
          'Continue with --resume.',
        );
      }
    },
  });
}

async function writeStudent(
  job: PretrainJob,
  student: Student,
  config: JsonObject,
  saved: Saved,
): Promise<PretrainingSummary> {
  const { out, seed, settings, shape } = job;
  const flat = student.parameters!;
  const tensors = [...flat.split(await flat.read())].map(([name, { shape, data }]) => ({
    name,
    dtype: 'f32' as const,
    shape: [...shape],
    data,
  }));
  const weights = writeSafetensors(inLibraryOrder(tensors), { format: 'pt' });
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', weights));
  const corpus = new LessonCorpus(seed, CORPUS_MIXES[job.mix]);
  const documents = Array.from({ length: Math.min(STATISTICS_DOCUMENTS, saved.cursor.document) }, (_, i) =>
    corpus.document(i),
  );
  const statistics = corpusStatistics(documents);
  const summary: PretrainingSummary = {
    name: job.name,
    seed,
    parameters: parameterCount(parseModelConfig(config)),
    shape: { ...shape },
    settings: { ...settings },
    documents: saved.cursor.document,
    tokens: saved.cursor.tokens,
    seconds: saved.seconds,
    mix: Object.fromEntries(Object.entries(statistics.kinds).map(([kind, { share }]) => [kind, share])),
    vocabulary: LESSON_TOKENS.length,
    environment: describeEnvironment(job.gpu),
    sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    mixName: job.mix,
    rows: saved.rows,
    ...(job.earlier === undefined ? {} : { before: job.earlier.summary }),
  };
  await out.write('model.safetensors', weights);
  await out.write('config.json', json(config));
  for (const [name, value] of Object.entries(lessonTokenizerFiles(shape.contextTokens))) {
    await out.write(name, json(value));
  }
  await out.write(PRETRAIN_LOG, json(summary));
  await out.write('README.md', new TextEncoder().encode(modelCard(summary)));
  return summary;
}
