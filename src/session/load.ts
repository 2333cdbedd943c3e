// load.ts: the first part of a run: from an experiment to a student on the GPU, a tokenizer, and a description of both that
// tells whether an interrupted run may go on here.
import type { ProgressListener } from '../base/progress';
import type { Experiment } from '../config/experiment';
import { studentFolder } from '../config/studentFolder';
import { openCheckpoint, type Checkpoint } from '../formats/checkpointIndex';
import { sha256Of } from '../formats/trainingCheckpoint';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import type { StudentManifest } from '../formats/studentManifest';
import type { OpenFile } from '../formats/byteSource';
import type { Gpu } from '../gpu/device';
import { describeVariants } from '../kernels/linearChoice';
import { Student } from '../model/student';
import { parameterCount } from '../model/parameterShapes';
import { filesIn } from '../recipes/files';
import type { EnvironmentReport, StudentReport } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import {
  openWithCache,
  uncachedConfig,
  type PlainStudent,
  type StudentCaching,
  type StudentNote,
  type StudentPlace,
} from './studentCaching';
import { expectRows, loadTokenizer, stopIds, type LoadedTokenizer } from './tokenizers';

/** Of package.json; a unit test holds the two together. */
export const PUPIL_VERSION = '0.1.0';

/** As much of an experiment as says which student it is. */
type StudentOf = Pick<Experiment, 'student'>;

/** A student's files, before anything is on the GPU. */
export interface StudentFiles {
  source: string;
  open: OpenFile;
}

/** Where the student's files are. */
export function studentFiles(experiment: StudentOf, files: OpenRoot): StudentFiles {
  const source = studentFolder(experiment.student.source);
  return { source, open: filesIn(files, source) };
}

/** A student that has been looked at; its weights are still where they were. */
export interface OpenedStudent {
  checkpoint: Checkpoint;
  config: ModelConfig;
  tokenizer: LoadedTokenizer;
  report: StudentReport;
  eosIds: number[];
  /** How its weights come from the cache, or into it; undefined where it has no part in them. */
  caching?: StudentCaching;
  /** What a person should know of the cache's part in it. */
  notes: StudentNote[];
  /** To be called when the weights are on the GPU: what was kept of the download is deleted. Never throws. */
  loaded: () => Promise<void>;
}

/**
 * Reads the checkpoint's headers and its tokenizer: from the cache where the student is there, else from its source.
 * @param place the cache and what is asked of it; without one, nothing is cached
 */
export async function openStudent(
  experiment: StudentOf,
  files: OpenRoot,
  place?: StudentPlace,
): Promise<OpenedStudent> {
  const { source, open } = studentFiles(experiment, files);
  const read = async (from: OpenFile, cached?: StudentManifest): Promise<OpenedStudent> => {
    const checkpoint = await openCheckpoint(from, source);
    const config = parseModelConfig(uncachedConfig(checkpoint.config, cached), `${checkpoint.name}/config.json`);
    const tokenizer = await loadTokenizer(experiment.student.tokenizer, files, from);
    expectRows(tokenizer, config.vocabSize);
    return {
      checkpoint,
      config,
      tokenizer,
      report: {
        // A cached student asks nothing of a network.
        source: cached === undefined ? ((await files.pinned?.(source)) ?? source) : sourceName(source, cached),
        ...describeStudent(config, experiment.student.quantize),
        fingerprint: cached?.fingerprint ?? (await fingerprintOf(checkpoint)),
      },
      // A family's default id is no end where the files say nothing of one.
      eosIds: [
        ...new Set([...stopIds(tokenizer), ...(config.raw['eos_token_id'] === undefined ? [] : config.eosTokenIds)]),
      ],
      notes: [],
      loaded: async () => files.loaded?.(source),
    };
  };
  return place === undefined ? read(open) : openWithCache(place, { student: experiment.student, source, open, read });
}

/** Of a cached model of the Hub the name with the commit that it was read at: the Hub is not asked again. */
const sourceName = (source: string, cached: StudentManifest | undefined): string =>
  cached?.source.startsWith('hub:') === true ? cached.source : source;

/** Puts the weights on the GPU, from the cache or past it. */
export async function loadStudentWeights(
  gpu: Gpu,
  experiment: StudentOf,
  opened: OpenedStudent,
  onProgress: ProgressListener,
  signal: AbortSignal,
): Promise<Student> {
  const options = { quantize: experiment.student.quantize, onProgress, signal };
  const student =
    opened.caching === undefined
      ? await Student.load(gpu, opened.checkpoint, options)
      : await opened.caching.load(gpu, opened, options);
  await opened.loaded();
  return student;
}

/** Work with the files of an opened student's weights, which are not put on the GPU: from the cache or past it. */
export function readStudentWeights<T>(opened: OpenedStudent, work: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  return opened.caching === undefined ? work(opened.checkpoint) : opened.caching.reading(opened, work);
}

/** A student by its folder alone, for work that has no experiment: the weights, from the cache or past it. */
export async function loadStudentFolder(
  gpu: Gpu,
  files: Pick<OpenRoot, 'open' | 'loaded'>,
  folder: string,
  quantize: Experiment['student']['quantize'],
  place: StudentPlace,
): Promise<Student> {
  const read = async (open: OpenFile, cached?: StudentManifest): Promise<PlainStudent> => {
    const checkpoint = await openCheckpoint(open, folder);
    const config = parseModelConfig(uncachedConfig(checkpoint.config, cached), `${folder}/config.json`);
    const fingerprint = cached?.fingerprint ?? (await fingerprintOf(checkpoint));
    return { checkpoint, config, report: { fingerprint, source: sourceName(folder, cached) }, notes: [] };
  };
  const student = { source: { kind: 'directory' as const, path: folder }, quantize };
  const opened = await openWithCache(place, { student, source: folder, open: filesIn(files, folder), read });
  const options = { quantize, onProgress: () => undefined, signal: new AbortController().signal };
  const loaded =
    opened.caching === undefined
      ? await Student.load(gpu, opened.checkpoint, options)
      : await opened.caching.load(gpu, opened, options);
  await files.loaded?.(folder);
  return loaded;
}

/** How many tensors a fingerprint looks into, and how many bytes of each it reads: a checkpoint may lie behind a network. */
const FINGERPRINT_TENSORS = 16;
const FINGERPRINT_BYTES = 1024;

/**
 * Tells one student from another: by config, tensor table, and the first bytes of some tensors spread over the table. A
 * training changes every tensor; an edit of a few weights elsewhere is not seen.
 */
export async function fingerprintOf(checkpoint: Checkpoint): Promise<string> {
  const names = [...checkpoint.tensorNames].sort();
  const table = names.map((name) => {
    const { dtype, shape } = checkpoint.info(name);
    return `${name} ${dtype} ${shape.join('x')}`;
  });
  const step = Math.max(1, names.length / FINGERPRINT_TENSORS);
  const looked = new Set(Array.from({ length: FINGERPRINT_TENSORS }, (_, i) => names[Math.floor(i * step)]));
  const heads = await Promise.all(
    names
      .filter((name) => looked.has(name))
      .map(async (name) => {
        const end = Math.min(FINGERPRINT_BYTES, checkpoint.info(name).sizeBytes);
        return sha256Of(await checkpoint.readBytes(name, 0, end));
      }),
  );
  const text = [JSON.stringify(checkpoint.config), ...table, ...heads].join('\n');
  return (await sha256Of(new TextEncoder().encode(text))).slice(0, 16);
}

function describeStudent(config: ModelConfig, quantize: string): Omit<StudentReport, 'source' | 'fingerprint'> {
  return {
    parameters: parameterCount(config),
    layers: config.layers,
    hiddenSize: config.hiddenSize,
    vocabSize: config.vocabSize,
    quantize,
  };
}

/** What this run's numbers depend on beside the experiment. */
export function describeEnvironment(gpu: Gpu): EnvironmentReport {
  const { vendor, architecture, device, description, software } = gpu.adapter;
  return {
    vendor,
    architecture,
    device,
    description,
    software,
    tier: gpu.tier,
    variants: describeVariants(gpu),
    host: inBrowser() ? 'browser' : 'node',
    userAgent: userAgent(),
    pupilVersion: PUPIL_VERSION,
  };
}

export function inBrowser(): boolean {
  return typeof process === 'undefined' || process.versions?.node === undefined;
}

export function userAgent(): string {
  return inBrowser() ? navigator.userAgent : `Node ${process.versions.node}`;
}
