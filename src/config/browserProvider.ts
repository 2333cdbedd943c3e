// browserProvider.ts: a teacher that runs in the page's own browser, as data: the forms of weights that it may have, and what
// it is among providers. It is not in their list: the command line has no such browser, and there is no address to choose.
import type { ApiProvider } from './apiProviders';

/** Forms of the weights that the Hub's ONNX repositories have, by the library's names. */
export const TEACHER_DTYPES = ['fp32', 'fp16', 'q8', 'int8', 'uint8', 'q4', 'bnb4', 'q4f16'] as const;
export type TeacherDtype = (typeof TEACHER_DTYPES)[number];

/** The file of each form, as the Hub's repositories name it after `onnx/`. */
export const TEACHER_WEIGHTS: Readonly<Record<TeacherDtype, string>> = {
  fp32: 'model.onnx',
  fp16: 'model_fp16.onnx',
  q8: 'model_quantized.onnx',
  int8: 'model_int8.onnx',
  uint8: 'model_uint8.onnx',
  q4: 'model_q4.onnx',
  bnb4: 'model_bnb4.onnx',
  q4f16: 'model_q4f16.onnx',
};

/** What is asked about one prompt at a time, without a key and without a network. */
export const BROWSER_PROVIDER = {
  id: 'browser',
  title: 'the model in this browser',
  dialect: 'openai', // messages as these servers take them; the address tells its answers from theirs
  baseUrl: 'browser:',
  key: 'optional',
  keyVariable: '',
  limitField: 'max_tokens',
  concurrency: { start: 1, most: 1 },
  timeouts: { firstByteMs: Infinity, totalMs: Infinity }, // a person sees how slow it is, and stops it
} as const satisfies ApiProvider;
