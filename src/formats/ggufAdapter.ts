// ggufAdapter.ts: a LoRA adapter as llama.cpp reads it beside a model: `blk.N.….weight.lora_a` and `.lora_b`, one α for all.
// It opens no files; the container is gguf.ts.
// Source: llama.cpp convert_lora_to_gguf.py; src/llama-adapter.cpp (scale = α / rank of the tensor).
import { PupilError } from '../base/errors';
import type { GgufDtype, GgufMetadata, GgufTensor, GgufValue } from './gguf';
import { ggufTensorName, interleaveHeads, isInterleaved, type GgufArchitecture } from './ggufModel';
import { loraScale, type AdapterFile } from './peft';
import { decodeF32Into, encodeFloats } from './tensorBytes';

export interface GgufAdapter {
  metadata: GgufMetadata;
  tensors: (GgufTensor & { data: Float32Array })[];
  /** What a person should know of it. */
  notes: string[];
}

/**
 * What the file has. Where one α for all cannot say what a module is scaled by (`alpha_pattern`, or rsLoRA with several
 * ranks), the rest of its scale goes into its B, which is told.
 * @param headSize K, by which the rows of B are rearranged for q and k
 * @throws PupilError `checkpoint` for a module that the architecture does not have
 */
export function ggufAdapter(
  architecture: GgufArchitecture,
  adapter: AdapterFile,
  headSize: number,
  dtype: GgufDtype,
): GgufAdapter {
  // With rsLoRA, α/√R = (α·√R)/R: the file's α is that of the adapter's own rank.
  const alpha = adapter.rsLora ? adapter.alpha * Math.sqrt(adapter.r) : adapter.alpha;
  const tensors: GgufAdapter['tensors'] = [];
  const folded: string[] = [];
  for (const [path, module] of adapter.tensors) {
    const { a, b } = module;
    const rank = a.shape[0];
    const factor = (loraScale(module, adapter) * rank) / alpha; // the α that would give this scale, over the file's
    const exact = Math.abs(factor - 1) < 1e-12; // √R²/R is 1 but for its last bit
    if (!exact) folded.push(path);
    let values = exact ? b.data : b.data.map((value) => value * factor);
    const name = `${path}.weight`;
    if (isInterleaved(architecture, name)) values = interleaveHeads(values, rank, headSize);
    const stem = ggufTensorName(architecture, name);
    tensors.push({ name: `${stem}.lora_a`, dtype, shape: a.shape, data: a.data });
    tensors.push({ name: `${stem}.lora_b`, dtype, shape: b.shape, data: values });
  }
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: architecture.name }],
    ['general.type', { type: 'string', value: 'adapter' }],
    ['general.name', { type: 'string', value: lastPart(adapter.name) ?? 'adapter' }],
    ['general.quantization_version', { type: 'u32', value: 2 }],
    ['adapter.type', { type: 'string', value: 'lora' }],
    ['adapter.lora.alpha', { type: 'f32', value: alpha }],
  ]);
  const notes: string[] = [];
  if (adapter.rsLora)
    notes.push(`rsLoRA is written as alpha ${Number(alpha.toPrecision(6))}, which gives the same scale`);
  if (folded.length > 0) {
    const some = folded.slice(0, 3).join(', ') + (folded.length > 3 ? ', …' : '');
    notes.push(`GGUF has one alpha for all modules: the scale of ${folded.length} others is in their B (${some})`);
  }
  return { metadata, tensors, notes };
}

/**
 * The bytes of a factor.
 * @throws PupilError `checkpoint` for a value that the dtype cannot hold
 */
export async function* factorBytes(tensor: GgufTensor & { data: Float32Array }): AsyncGenerator<Uint8Array> {
  const bytes = encodeFloats(tensor.data, tensor.dtype);
  const back = new Float32Array(tensor.data.length);
  decodeF32Into(back, 0, bytes, tensor.dtype);
  const bad = back.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new PupilError(
      'checkpoint',
      `${tensor.name}: element ${bad} is ${tensor.data[bad]}, which ${tensor.dtype} cannot hold`,
      'Export with --dtype f32.',
    );
  }
  yield await Promise.resolve(bytes);
}

/** Of a folder: the rest says where it lay on somebody's machine. */
const lastPart = (path: string | undefined): string | undefined => path?.split('/').filter(Boolean).at(-1);
