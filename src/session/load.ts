// load.ts: the first part of a run: from an experiment to a student on the GPU, a tokenizer, and a description of both that
// tells whether an interrupted run may go on here.
import type { ProgressListener } from '../base/progress';
import type { Experiment } from '../config/experiment';
import { hubFolder } from '../config/hubName';
import { openCheckpoint, type Checkpoint } from '../formats/checkpointIndex';
import { sha256Of } from '../formats/trainingCheckpoint';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import type { OpenFile } from '../formats/byteSource';
import type { Gpu } from '../gpu/device';
import { describeVariants } from '../kernels/linearChoice';
import { Student } from '../model/student';
import { parameterCount } from '../model/parameterShapes';
import { filesIn } from '../recipes/files';
import type { EnvironmentReport, StudentReport } from '../report/types';
import type { OpenRoot } from '../sources/openRoot';
import { loadTokenizer, type LoadedTokenizer } from './tokenizers';

/** Of package.json; a unit test holds the two together. */
export const PUPIL_VERSION = '0.1.0';

/** A student's files, before anything is on the GPU. */
export interface StudentFiles {
  source: string;
  open: OpenFile;
}

/**
 * The student as a folder among the session's files: one of the root, a bundled one (`students/<name>`), or one that lies
 * elsewhere (remoteFiles.ts reads those).
 */
function studentFolder({ source }: Experiment['student']): string {
  switch (source.kind) {
    case 'directory':
      return source.path;
    case 'bundled':
      return `students/${source.name}`;
    case 'url':
      return source.url;
    case 'hub':
      return hubFolder(source);
  }
}

/** Where the student's files are. */
export function studentFiles(experiment: Experiment, files: OpenRoot): StudentFiles {
  const source = studentFolder(experiment.student);
  return { source, open: filesIn(files, source) };
}

/** A student that has been looked at; its weights are still where they were. */
export interface OpenedStudent {
  checkpoint: Checkpoint;
  config: ModelConfig;
  tokenizer: LoadedTokenizer;
  report: StudentReport;
  eosIds: number[];
  /** To be called when the weights are on the GPU: what was kept of the download is deleted. Never throws. */
  loaded: () => Promise<void>;
}

/** Reads the checkpoint's headers and its tokenizer. */
export async function openStudent(experiment: Experiment, files: OpenRoot): Promise<OpenedStudent> {
  const { source, open } = studentFiles(experiment, files);
  const checkpoint = await openCheckpoint(open, source);
  const config = parseModelConfig(checkpoint.config, `${checkpoint.name}/config.json`);
  const tokenizer = await loadTokenizer(experiment.student.tokenizer, files, open);
  return {
    checkpoint,
    config,
    tokenizer,
    report: await describeStudent(
      (await files.pinned?.(source)) ?? source,
      checkpoint,
      config,
      experiment.student.quantize,
    ),
    eosIds: [...new Set([...tokenizer.tokenizer.eosIds, ...config.eosTokenIds])],
    loaded: async () => files.loaded?.(source),
  };
}

/** Puts the weights on the GPU. */
export async function loadStudentWeights(
  gpu: Gpu,
  experiment: Experiment,
  { checkpoint, loaded }: OpenedStudent,
  onProgress: ProgressListener,
  signal: AbortSignal,
): Promise<Student> {
  const student = await Student.load(gpu, checkpoint, { quantize: experiment.student.quantize, onProgress, signal });
  await loaded();
  return student;
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

async function describeStudent(
  source: string,
  checkpoint: Checkpoint,
  config: ModelConfig,
  quantize: string,
): Promise<StudentReport> {
  return {
    source,
    parameters: parameterCount(config),
    layers: config.layers,
    hiddenSize: config.hiddenSize,
    vocabSize: config.vocabSize,
    quantize,
    fingerprint: await fingerprintOf(checkpoint),
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
