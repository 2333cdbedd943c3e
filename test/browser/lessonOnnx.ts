// lessonOnnx.ts: the bundled student as the Hub would have it, with an ONNX file written here. Tests only.
import { openCheckpoint } from '../../src/formats/checkpointIndex';
import { openMemoryRoot } from '../../src/sources/memory';
import { onnxOfLlama, type LlamaConfig } from '../fixtures/onnxStudent';

const NAMES = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];

export interface LessonOnnx {
  /** The checkpoint's own files. */
  student: Record<string, Uint8Array>;
  /** What is picked: the Hub's layout, without our safetensors. */
  files: Record<string, Blob>;
}

async function fetched(name: string): Promise<Uint8Array> {
  const response = await fetch(`/students/lesson/${name}`);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

export async function lessonOnnx(): Promise<LessonOnnx> {
  const student = Object.fromEntries(
    await Promise.all(NAMES.map(async (name) => [name, await fetched(name)] as const)),
  );
  const checkpoint = await openCheckpoint(openMemoryRoot(student).open, 'lesson');
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const name of checkpoint.tensorNames) {
    tensors.set(name, { shape: checkpoint.info(name).shape, data: await checkpoint.readF32(name) });
  }
  const onnx = onnxOfLlama(checkpoint.config as unknown as LlamaConfig, (name) => tensors.get(name)!);
  const files: Record<string, Blob> = Object.fromEntries(
    NAMES.filter((name) => name.endsWith('.json')).map((name) => [name, new Blob([student[name]!.slice()])]),
  );
  files['onnx/model.onnx'] = new Blob([onnx]);
  return { student, files };
}
