// checkpointIndex.ts: a Hugging Face model folder as one set of named tensors: `config.json` and `model.safetensors`, or
// shards named by `model.safetensors.index.json`. What the config means is modelConfig.ts; what the names mean is model/.
import { PupilError } from '../base/errors';
import { readWhole, type ByteSource, type OpenFile } from './byteSource';
import { isJsonObject, parseJsonObject, showValue, type JsonObject } from './jsonText';
import { parseModelConfig } from './modelConfig';
import { readSafetensorsHeader, tensorReader, type SafetensorsFile, type TensorReader } from './safetensors';

/** Limits on JSON files, far above any real one (a 700-shard index is about 10 MB). */
const MAX_CONFIG_BYTES = 2 ** 24;
const MAX_INDEX_BYTES = 2 ** 26;

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

/** A model folder, opened: all headers have been read and checked, no weights yet. */
export interface Checkpoint extends TensorReader {
  /** `config.json` as it stands; parse it with parseModelConfig. */
  readonly config: JsonObject;
  /** Bytes of all tensors. */
  readonly totalBytes: number;
  /** The safetensors files it consists of, by path. */
  readonly files: readonly string[];
}

/**
 * Opens a checkpoint folder. Some files of models with tied embeddings store the one matrix as `lm_head.weight` only: it is
 * then named `model.embed_tokens.weight` here, as everywhere else.
 * @param open finds a file by its path in the folder, undefined where there is none
 * @param folder the folder's name, for messages
 * @throws PupilError `checkpoint` where a file, shard or tensor is missing or in two shards, e.g.
 *   `m: model.safetensors.index.json places "lm_head.weight" in model-00002-of-00002.safetensors, which does not hold it`;
 *   `checkpoint` by {@link parseModelConfig} before any weights file is opened; `format` where a file is damaged
 */
export async function openCheckpoint(open: OpenFile, folder = 'checkpoint'): Promise<Checkpoint> {
  const configSource = await open('config.json');
  if (configSource === undefined) {
    throw new PupilError(
      'checkpoint',
      `${folder}: expected a file config.json, there is none`,
      'Choose the folder of a Hugging Face model (config.json, model.safetensors, tokenizer.json).',
    );
  }
  const config = parseJsonObject(await readWhole(configSource, MAX_CONFIG_BYTES), configSource.name);
  // What cannot be computed is refused before anything large is read.
  const { tiedEmbeddings } = parseModelConfig(config, `${folder}/config.json`);

  const single = await open(SINGLE_FILE);
  if (single !== undefined) {
    return {
      ...combine(folder, new Map([[SINGLE_FILE, await readSafetensorsHeader(single)]]), tiedEmbeddings),
      config,
    };
  }
  const indexSource = await open(INDEX_FILE);
  if (indexSource === undefined) {
    throw new PupilError(
      'checkpoint',
      `${folder}: expected model.safetensors or model.safetensors.index.json, there is neither`,
      'Weights in other forms (pytorch_model.bin, GGUF) are not read: convert them to safetensors.',
    );
  }
  const weightMap = await readWeightMap(indexSource);
  const shards = new Map<string, SafetensorsFile>();
  for (const path of new Set(weightMap.values())) {
    const source = await open(path);
    if (source === undefined) {
      throw new PupilError(
        'checkpoint',
        `${folder}: ${INDEX_FILE} names the shard ${path}, which is missing`,
        'The download is incomplete: fetch the missing shard.',
      );
    }
    shards.set(path, await readSafetensorsHeader(source));
  }
  for (const [tensor, path] of weightMap) {
    if (shards.get(path)?.tensors.has(tensor) === true) continue;
    throw new PupilError(
      'checkpoint',
      `${folder}: ${INDEX_FILE} places "${tensor}" in ${path}, which does not hold it`,
      'Index and shards are of different models or versions: fetch all of them again.',
    );
  }
  return { ...combine(folder, shards, tiedEmbeddings), config };
}

/** The index's tensor → shard path. Paths that would leave the folder are refused. */
async function readWeightMap(source: ByteSource): Promise<Map<string, string>> {
  const index = parseJsonObject(await readWhole(source, MAX_INDEX_BYTES), source.name);
  const map = index['weight_map'];
  if (!isJsonObject(map) || Object.keys(map).length === 0) {
    throw new PupilError(
      'format',
      `${source.name}: weight_map: expected an object from tensor names to file names, got ${showValue(map)}`,
    );
  }
  const entries = Object.entries(map).map(([tensor, path]): [string, string] => {
    const safe = typeof path === 'string' && /^[^\\\0:]+\.safetensors$/.test(path) && !path.startsWith('/');
    if (!safe || path.split('/').includes('..')) {
      throw new PupilError(
        'format',
        `${source.name}: weight_map."${tensor}": expected the name of a .safetensors file in this folder, got ${showValue(path)}`,
      );
    }
    return [tensor, path];
  });
  return new Map(entries);
}

/** Several files as one set of tensors. A tensor may be in one file only. */
function combine(
  folder: string,
  files: ReadonlyMap<string, SafetensorsFile>,
  tiedEmbeddings: boolean,
): Omit<Checkpoint, 'config'> {
  const home = new Map<string, string>();
  let totalBytes = 0;
  for (const [path, file] of files) {
    for (const entry of file.tensors.values()) {
      const other = home.get(entry.name);
      if (other !== undefined) {
        throw new PupilError(
          'checkpoint',
          `${folder}: expected each tensor in one shard, "${entry.name}" is in ${other} and in ${path}`,
          'Shards of different versions lie in one folder: fetch all of them again.',
        );
      }
      home.set(entry.name, path);
      totalBytes += entry.end - entry.start;
    }
  }
  const headStandsIn = tiedEmbeddings && home.has(HEAD) && !home.has(EMBEDDING);
  if (headStandsIn) {
    home.set(EMBEDDING, home.get(HEAD)!);
    home.delete(HEAD);
  }
  const storedName = (tensor: string): string => (headStandsIn && tensor === EMBEDDING ? HEAD : tensor);
  const readers = new Map(Array.from(files, ([path, file]) => [path, tensorReader(file)]));
  const readerOf = (tensor: string): TensorReader => {
    const path = home.get(tensor);
    if (path === undefined) {
      const some = Array.from(home.keys()).slice(0, 5).join(', ');
      const found = home.size === 0 ? 'it holds none at all' : `there are ${home.size} others (${some} …)`;
      throw new PupilError(
        'checkpoint',
        `${folder}: expected a tensor "${tensor}", ${found}`,
        'The weights belong to another model, or are incomplete.',
      );
    }
    return readers.get(path)!;
  };
  return {
    name: folder,
    files: Array.from(files.keys()),
    totalBytes,
    tensorNames: Array.from(home.keys()),
    has: (tensor) => home.has(tensor),
    info: (tensor) => readerOf(tensor).info(storedName(tensor)),
    // async, so that a missing tensor is a rejection and never a throw at the call
    readBytes: async (tensor, start, end) => readerOf(tensor).readBytes(storedName(tensor), start, end),
    readF32: async (tensor) => readerOf(tensor).readF32(storedName(tensor)),
    readNumbers: async (tensor) => readerOf(tensor).readNumbers(storedName(tensor)),
  };
}
