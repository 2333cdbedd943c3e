// modelFolder.ts: a model's folder that was picked in the page, by the paths that the Hub's repositories have, and a name for
// its contents. It reads the ends of large files only, and loads no model.
import { PupilError } from '../base/errors';

export interface ModelFolder {
  name: string;
  /** config.json, tokenizer.json, onnx/model_q4.onnx, … */
  files: Record<string, Blob>;
  sizeBytes: number;
  /** Of paths, sizes and the ends of all files: tells two models apart, not two that differ in their middle alone. */
  fingerprint: string;
}

/** Of each end of a file. Weights of two models differ everywhere; hashing gigabytes would take minutes. */
const END_BYTES = 65_536;

/**
 * The model among picked files: the folder of the config.json that is nearest to the top. ONNX files that lie beside it are
 * taken as those in onnx/.
 *
 * @param picked of an `<input type="file" webkitdirectory>`.
 * @throws PupilError `teacher` where there is no config.json.
 */
export async function readModelFolder(picked: Iterable<File>): Promise<ModelFolder> {
  const all = [...picked].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  const depth = (path: string): number => path.split('/').length;
  const [config] = all
    .filter(({ path }) => /(^|\/)config\.json$/.test(path))
    .sort((a, b) => depth(a.path) - depth(b.path));
  if (config === undefined) {
    throw new PupilError(
      'teacher',
      `teacher model: expected a folder with config.json, got ${all.length} files without one`,
      'Pick the folder that was downloaded from the Hub: config.json, tokenizer.json, tokenizer_config.json and onnx/.',
    );
  }
  const top = config.path.slice(0, -'config.json'.length);
  const files: Record<string, Blob> = {};
  for (const { file, path } of all) {
    if (!path.startsWith(top)) continue;
    const within = path.slice(top.length);
    files[/^[^/]+\.onnx(_data.*)?$/.test(within) ? `onnx/${within}` : within] = file;
  }
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (const [path, blob] of Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))) {
    parts.push(new TextEncoder().encode(JSON.stringify([path, blob.size])));
    for (const end of [blob.slice(0, END_BYTES), blob.slice(-END_BYTES)]) {
      parts.push(new Uint8Array(await end.arrayBuffer()));
    }
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer()));
  return {
    name: top.split('/').at(-2) ?? 'model',
    files,
    sizeBytes: Object.values(files).reduce((sum, { size }) => sum + size, 0),
    fingerprint: Array.from(digest.slice(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join(''),
  };
}
