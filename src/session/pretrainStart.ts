// pretrainStart.ts: what a pretraining begins with: weights from a seed, or those of a student that was pretrained before, and
// what its log says of how that was made. Training and writing are pretrain.ts.
import { PupilError } from '../base/errors';
import { openCheckpoint } from '../formats/checkpointIndex';
import { isJsonObject, parseJsonObject, type JsonObject } from '../formats/jsonText';
import { parseModelConfig } from '../formats/modelConfig';
import type { Gpu } from '../gpu/device';
import { Student } from '../model/student';
import type { PretrainingSummary } from '../report/modelCard';
import type { OpenRoot } from '../sources/openRoot';
import { lessonTokenizerFiles } from '../tasks/lesson/tokenizerFiles';

/** The shape of a student: Llama, tied head, as many heads for keys as for queries. */
export interface StudentShape {
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  contextTokens: number;
}

/** The log of a pretraining, beside its student. */
export const PRETRAIN_LOG = 'pretraining.json';

/** A student that is trained further. */
export interface EarlierStudent {
  shape: StudentShape;
  summary: PretrainingSummary;
  load(gpu: Gpu): Promise<Student>;
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

const refuse = (root: OpenRoot, expected: string, got: string): never => {
  throw new PupilError(
    'checkpoint',
    `pretrain: expected ${expected} in ${root.description}, ${got}`,
    'Only a student that `pupil pretrain` made, with today’s vocabulary, can be trained further.',
  );
};

/**
 * A student of `pupil pretrain`, to be trained further.
 * @throws PupilError `checkpoint` where its log is missing or of other weights, or its vocabulary is another one.
 */
export async function openEarlier(root: OpenRoot): Promise<EarlierStudent> {
  const checkpoint = await openCheckpoint(root.open, root.description);
  const source = await root.open(PRETRAIN_LOG);
  if (source === undefined) refuse(root, PRETRAIN_LOG, 'there is none');
  const log = parseJsonObject(await root.readBytes(PRETRAIN_LOG), PRETRAIN_LOG);
  const digest = await crypto.subtle.digest('SHA-256', (await root.readBytes('model.safetensors')).slice());
  if (log['sha256'] !== hex(new Uint8Array(digest)) || !isJsonObject(log['shape'])) {
    refuse(root, `the weights that its ${PRETRAIN_LOG} describes`, 'they are others');
  }
  const shape = log['shape'] as unknown as StudentShape;
  const ours = lessonTokenizerFiles(shape.contextTokens);
  const theirs = parseJsonObject(await root.readBytes('tokenizer.json'), 'tokenizer.json');
  if (JSON.stringify(theirs) !== JSON.stringify(JSON.parse(JSON.stringify(ours['tokenizer.json'])))) {
    refuse(root, 'the vocabulary of the lesson', 'tokenizer.json is another one');
  }
  return {
    shape,
    summary: log as unknown as PretrainingSummary,
    load: (gpu) => Student.load(gpu, checkpoint, { quantize: 'none', trainable: true }),
  };
}

/** The student in front of its first step. */
export const studentToTrain = (
  gpu: Gpu,
  config: JsonObject,
  seed: number,
  earlier: EarlierStudent | undefined,
): Promise<Student> =>
  earlier === undefined ? Promise.resolve(Student.initialize(gpu, parseModelConfig(config), seed)) : earlier.load(gpu);
