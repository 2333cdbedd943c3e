// exportGguf.ts: a merged student, or an adapter by itself, as a GGUF file for llama.cpp. Names and keys are
// formats/ggufModel.ts, the tokenizer formats/ggufVocabulary.ts; one merged tensor is mergedTensor.ts.
import { readWhole, type OpenFile } from '../formats/byteSource';
import { writeGguf, type GgufDtype, type GgufTensor, type GgufValue } from '../formats/gguf';
import { factorBytes, ggufAdapter } from '../formats/ggufAdapter';
import {
  ggufArchitecture,
  ggufHyperparameters,
  ggufTensorName,
  interleaveHeads,
  isInterleaved,
  ropeFactors,
  type GgufArchitecture,
} from '../formats/ggufModel';
import { ggufVocabulary, type TokenizerParts } from '../formats/ggufVocabulary';
import { decodeUtf8, parseJsonObject, type JsonObject } from '../formats/jsonText';
import type { ModelConfig } from '../formats/modelConfig';
import type { AdapterFile } from '../formats/peft';
import { encodeFloats } from '../formats/tensorBytes';
import type { OpenRoot } from '../sources/openRoot';
import { writeStream } from '../sources/writeStream';
import { HuggingFaceTokenizer } from '../text/tokenizer';
import { mostlyOf } from './exportMerged';
import type { MergeJob } from './mergeJob';
import { mergedTensor, type BlockChange, type MergedDtype, type MergedSpec } from './mergedTensor';

const MAX_TOKENIZER_BYTES = 2 ** 28;
/** enum llama_ftype. */
const FILE_TYPES: Record<GgufDtype, number> = { f32: 0, f16: 1, bf16: 32 };

/** A tensor of the file: one of the student's, or values that the file has besides. */
interface Entry extends GgufTensor {
  source: MergedSpec | Float32Array;
}

/**
 * Writes `model.gguf`: matrices in the job's dtype, vectors in f32, as llama.cpp wants them.
 * @param open files of the student's folder
 * @param specs the tensors of the student
 * @returns the dtype of most weights, and what a person should know
 * @throws PupilError `config` for a family, or a setting of it, that llama.cpp does not compute
 */
export async function exportGguf(
  job: MergeJob,
  open: OpenFile,
  config: ModelConfig,
  specs: readonly MergedSpec[],
): Promise<{ dtype: MergedDtype; notes: string[] }> {
  const architecture = ggufArchitecture(config);
  const hyperparameters = ggufHyperparameters(architecture, config);
  const vocabulary = await ggufVocabulary(await tokenizerParts(open, config.raw), config.vocabSize);
  const entries: Entry[] = specs.map((spec) => {
    const dtype = spec.shape.length === 1 ? 'f32' : spec.dtype;
    return { name: ggufTensorName(architecture, spec.name), dtype, shape: spec.shape, source: { ...spec, dtype } };
  });
  const factors = ropeFactors(config);
  if (factors !== undefined) {
    entries.push({ name: 'rope_freqs.weight', dtype: 'f32', shape: [factors.length], source: factors });
  }
  const dtype = mostlyOf(specs);
  const name = job.settings.checkpoint.name.split('/').filter(Boolean).at(-1) ?? 'model';
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: architecture.name }],
    ['general.type', { type: 'string', value: 'model' }],
    ['general.name', { type: 'string', value: name }],
    ['general.file_type', { type: 'u32', value: FILE_TYPES[dtype] }],
    ['general.quantization_version', { type: 'u32', value: 2 }],
    ...hyperparameters.metadata,
    ...vocabulary.metadata,
  ]);
  const { parts } = writeGguf(metadata, entries, ({ source }) => {
    if (source instanceof Float32Array) return valuesOf(source);
    job.advance();
    return mergedTensor(job.settings, job.account, source, changeOf(architecture, config, source));
  });
  await writeStream(job.out, 'model.gguf', parts());
  job.written.push('model.gguf');
  return { dtype, notes: [...hyperparameters.notes, ...vocabulary.notes] };
}

/**
 * Writes `adapter.gguf`.
 * @param dtype `keep` is f32, in which adapters are trained
 * @returns what a person should know
 */
export async function exportGgufAdapter(
  out: OpenRoot,
  adapter: AdapterFile,
  config: ModelConfig,
  dtype: GgufDtype | 'keep',
): Promise<string[]> {
  const made = ggufAdapter(ggufArchitecture(config), adapter, config.headSize, dtype === 'keep' ? 'f32' : dtype);
  await writeStream(out, 'adapter.gguf', writeGguf(made.metadata, made.tensors, factorBytes).parts());
  return made.notes;
}

/** What becomes of a tensor's values on the way, if anything. */
function changeOf(
  architecture: GgufArchitecture,
  { headSize }: ModelConfig,
  { name }: MergedSpec,
): BlockChange | undefined {
  if (isInterleaved(architecture, name)) {
    return { groupRows: headSize, apply: (values, columns) => interleaveHeads(values, columns, headSize) };
  }
  if (architecture.normOffset !== 0 && name.endsWith('norm.weight')) {
    return { groupRows: 1, apply: (values) => values.map((value) => value + architecture.normOffset) };
  }
  return undefined;
}

async function* valuesOf(values: Float32Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(encodeFloats(values, 'f32'));
}

/** What the student's folder has of a tokenizer. */
async function tokenizerParts(open: OpenFile, model: JsonObject): Promise<TokenizerParts> {
  const read = async (name: string): Promise<Uint8Array | undefined> => {
    const file = await open(name);
    return file === undefined ? undefined : readWhole(file, MAX_TOKENIZER_BYTES);
  };
  const json = async (name: string): Promise<JsonObject | undefined> => {
    const bytes = await read(name);
    return bytes === undefined ? undefined : parseJsonObject(bytes, name);
  };
  const tokenizer = await json('tokenizer.json');
  const config = (await json('tokenizer_config.json')) ?? {};
  const jinja = await read('chat_template.jinja');
  const inJson = jinja === undefined ? (await json('chat_template.json'))?.['chat_template'] : undefined;
  const chatTemplate = jinja !== undefined ? decodeUtf8(jinja, 'chat_template.jinja') : inJson;
  return {
    tokenizer,
    config,
    sentencePiece: await read('tokenizer.model'),
    model,
    chatTemplate: typeof chatTemplate === 'string' ? chatTemplate : undefined,
    encode: (text) => new HuggingFaceTokenizer({ tokenizer, tokenizerConfig: config }).encode(text, { addBos: true }),
  };
}
