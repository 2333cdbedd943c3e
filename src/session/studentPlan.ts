// studentPlan.ts: the plan of a student from its folder, wherever that lies: config.json and the size of the weights are read,
// nothing else. The sums are model/studentPlan.ts.
import { PupilError } from '../base/errors';
import { readWhole, type OpenFile } from '../formats/byteSource';
import { isJsonObject, parseJsonObject, type JsonObject } from '../formats/jsonText';
import { parseModelConfig, type ModelConfig } from '../formats/modelConfig';
import { estimatedDownloadBytes, planStudent, settingsFor, type PlanLimits } from '../model/studentPlan';
import { filesIn } from '../recipes/files';
import type { OpenRoot } from '../sources/openRoot';
import type { PlannedStudent, PlanStudentRequest } from './planProtocol';

/** Far above any real file: a config has a few kB, the index of 700 shards about 10 MB. */
const MAX_JSON_BYTES = 2 ** 26;

async function readJson(open: OpenFile, name: string): Promise<JsonObject | undefined> {
  const file = await open(name);
  return file === undefined ? undefined : parseJsonObject(await readWhole(file, MAX_JSON_BYTES), file.name);
}

/** The size of the weights as a server or an index tells it. */
async function downloadOf(open: OpenFile, config: ModelConfig): Promise<PlannedStudent['download']> {
  const single = await open('model.safetensors');
  if (single !== undefined) return { bytes: single.size, from: 'file' };
  const metadata = (await readJson(open, 'model.safetensors.index.json'))?.['metadata'];
  const total = isJsonObject(metadata) ? metadata['total_size'] : undefined;
  if (typeof total === 'number' && total > 0) return { bytes: total, from: 'index' };
  return { bytes: estimatedDownloadBytes(config), from: 'estimate' };
}

/**
 * @param root opens `request.files`.
 * @param deviceLimits of an open device, where there is one.
 * @throws PupilError `checkpoint` where there is no config.json or the architecture is not supported, by name; `config` for
 *   settings that cannot be
 */
export async function planStudentFolder(
  request: Omit<PlanStudentRequest, 'files'>,
  root: Pick<OpenRoot, 'open'>,
  deviceLimits?: PlanLimits,
): Promise<PlannedStudent> {
  const open = filesIn(root, request.student);
  const json = await readJson(open, 'config.json');
  if (json === undefined) {
    throw new PupilError(
      'checkpoint',
      `${request.student || 'the student’s folder'}: expected a file config.json, there is none`,
      'Choose the folder of a Hugging Face model (config.json, model.safetensors, tokenizer.json).',
    );
  }
  const config = parseModelConfig(json, request.student === '' ? 'config.json' : `${request.student}/config.json`);
  const limits = request.limits ?? deviceLimits;
  const plan = planStudent(config, settingsFor(config, request.settings), {
    ...(limits === undefined ? {} : { limits }),
    ...(request.budgetBytes === undefined ? {} : { budgetBytes: request.budgetBytes }),
    ...(request.fixed === undefined ? {} : { fixed: request.fixed }),
  });
  const prequantised = config.quantization !== undefined;
  return { ...plan, student: request.student, prequantised, download: await downloadOf(open, config) };
}
