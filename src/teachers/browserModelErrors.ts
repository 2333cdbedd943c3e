// browserModelErrors.ts: why a model does not load in a browser, and what a person can do about it: files that were not picked
// are named beforehand, the rest follows from the words of the library and its runtime. It loads nothing.
import { PupilError } from '../base/errors';
import { TEACHER_DTYPES, TEACHER_WEIGHTS, type TeacherDtype } from '../config/browserProvider';

export const wordsOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, 300);

const NEEDED = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];

/** @throws PupilError `teacher` naming every picked file that is missing, and the forms of weights that are there. */
export function expectFiles(
  { name, files }: { name: string; files: Readonly<Record<string, Blob>> },
  dtype: TeacherDtype,
): void {
  const isThere = (path: string): boolean => Object.hasOwn(files, path);
  const wanted = [...NEEDED, `onnx/${TEACHER_WEIGHTS[dtype]}`];
  const missing = wanted.filter((path) => !isThere(path));
  if (missing.length === 0) return;
  const others = TEACHER_DTYPES.filter((one) => isThere(`onnx/${TEACHER_WEIGHTS[one]}`));
  throw new PupilError(
    'teacher',
    `teacher model: expected ${wanted.join(', ')} in the picked folder ${name}, missing: ${missing.join(', ')}`,
    missing.at(-1) === wanted.at(-1)
      ? others.length > 0
        ? `Weights of dtype ${others.join(', ')} are there: choose one of these.`
        : 'There are no ONNX weights in onnx/: many repositories have them under onnx-community on the Hub.'
      : "Pick the model's whole folder, as it was downloaded from the Hub.",
  );
}

/** The first whose words are found tells what to do. */
const HINTS: readonly [RegExp, (dtype: TeacherDtype) => string][] = [
  [
    /unsupported model type/i,
    () =>
      'This is no text-generation model that transformers.js knows: choose one of the Hub’s tasks “text generation”.',
  ],
  [
    /unauthorized|forbidden/i,
    () =>
      'The Hub shows this repository to nobody without a token, or there is none of this name: check the name; where it is gated, pick downloaded files instead.',
  ],
  [
    /could not locate|not found/i,
    (dtype) =>
      `Check the name and the revision. It needs config.json, tokenizer.json and onnx/${TEACHER_WEIGHTS[dtype]} (dtype ${dtype}); many repositories have them under onnx-community.`,
  ],
  [/failed to fetch|network|load failed/i, () => 'Is there a network? Files on disk can be picked instead.'],
  [
    /memory|allocat|bad_alloc|array buffer|array length/i,
    () => 'It does not fit: choose a smaller model, or dtype q4 or q4f16, and close other tabs.',
  ],
  [/not support fp16/i, () => 'This device has no 16-bit floats: choose dtype q4, q8 or fp32.'],
];

/**
 * What the library or its runtime threw while loading, with what to do.
 *
 * @param where the repository or the folder, in words.
 */
export function loadError(
  where: string,
  { dtype, device }: { dtype: TeacherDtype; device: 'webgpu' | 'wasm' },
  cause: unknown,
): PupilError {
  const said = wordsOf(cause);
  const hint =
    HINTS.find(([pattern]) => pattern.test(said))?.[1](dtype) ??
    (device === 'webgpu' ? 'Device wasm, another dtype or another model may do.' : 'Choose another dtype or model.');
  return new PupilError(
    'teacher',
    `teacher model: expected a text-generation model in ${where}, it did not load: ${said}`,
    hint,
    { cause },
  );
}
