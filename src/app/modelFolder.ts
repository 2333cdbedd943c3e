// modelFolder.ts: a model's folder that was picked or dropped in the page, by the paths that the Hub's repositories have, and a
// name for its contents. It reads the ends of large files only, and loads no model.
import { PupilError } from '../base/errors';
import { pickedFolder, type PickedFolder } from './pickedFiles';

/** A model's files where they lie. */
export interface FoundModel {
  name: string;
  /** config.json, tokenizer.json, model.safetensors, … */
  files: Record<string, Blob>;
  sizeBytes: number;
}

/** One in ONNX form, told apart from others. */
export interface ModelFolder extends FoundModel {
  /** Of paths, sizes and the ends of all files: tells two models apart, not two that differ in their middle alone. */
  fingerprint: string;
}

/** Of each end of a file. Weights of two models differ everywhere; hashing gigabytes would take minutes. */
const END_BYTES = 65_536;

/**
 * The model in a folder: what lies beside and below the config.json that is nearest to the top. Undefined where there is none.
 */
export function findModel({ name, files: all }: PickedFolder): FoundModel | undefined {
  const depth = (path: string): number => path.split('/').length;
  const [config] = all
    .filter(({ path }) => /(^|\/)config\.json$/.test(path))
    .sort((a, b) => depth(a.path) - depth(b.path));
  if (config === undefined) return undefined;
  const top = config.path.slice(0, -'config.json'.length);
  const inside = all.filter(({ path }) => path.startsWith(top));
  return {
    name: top.split('/').at(-2) ?? (name === '' ? 'model' : name),
    files: Object.fromEntries(inside.map(({ path, blob }) => [path.slice(top.length), blob])),
    sizeBytes: inside.reduce((sum, { blob }) => sum + blob.size, 0),
  };
}

/**
 * The ONNX model among picked files. ONNX files that lie beside config.json are taken as those in onnx/.
 *
 * @param picked of an `<input type="file" webkitdirectory>`.
 * @throws PupilError `teacher` where there is no config.json.
 */
export async function readModelFolder(picked: Iterable<File>): Promise<ModelFolder> {
  const folder = pickedFolder(picked);
  const found = findModel(folder);
  if (found === undefined) {
    throw new PupilError(
      'teacher',
      `teacher model: expected a folder with config.json, got ${folder.files.length} files without one`,
      'Pick the folder that was downloaded from the Hub: config.json, tokenizer.json, tokenizer_config.json and onnx/.',
    );
  }
  const files = Object.fromEntries(
    Object.entries(found.files).map(([path, blob]) => [
      /^[^/]+\.onnx(_data.*)?$/.test(path) ? `onnx/${path}` : path,
      blob,
    ]),
  );
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const [path, blob] of Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))) {
    parts.push(new TextEncoder().encode(JSON.stringify([path, blob.size])));
    for (const end of [blob.slice(0, END_BYTES), blob.slice(-END_BYTES)]) {
      parts.push(new Uint8Array(await end.arrayBuffer()));
    }
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer()));
  return {
    ...found,
    files,
    fingerprint: Array.from(digest.slice(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join(''),
  };
}
