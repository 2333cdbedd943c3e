// ggufForward.ts: logits of a decoder from a GGUF file alone, in float64 and plain loops, as llama.cpp computes them: `llama`
// rotates neighbouring elements of a head (rope type NORM), the others halves (NEOX). Written from llama.cpp's description of its
// architectures (src/llama-model.cpp, ggml rope), not from this engine's code. Tests only.
import { elementsOf, type ReadGguf } from '../unit/formats/ggufReader';

/** @returns logits, one row a token */
export function ggufLogits(file: ReadGguf, ids: readonly number[], adapter?: ReadGguf): Float64Array[] {
  const arch = file.metadata.get('general.architecture')!.value as string;
  const number = (key: string): number => file.metadata.get(`${arch}.${key}`)!.value as number;
  const optional = (key: string): number | undefined =>
    file.metadata.get(`${arch}.${key}`)?.value as number | undefined;
  const heads = number('attention.head_count');
  const kvHeads = number('attention.head_count_kv');
  const size = number('attention.key_length');
  const eps = number('attention.layer_norm_rms_epsilon');
  const cap = optional('attn_logit_softcapping');
  const finalCap = optional('final_logit_softcapping');
  const window = optional('attention.sliding_window');
  const linear = optional('rope.scaling.factor') ?? 1;
  const cache = new Map<string, Float64Array>();
  const maybe = (name: string): Float64Array | undefined => {
    const tensor = file.tensors.get(name);
    if (tensor === undefined) return undefined;
    if (!cache.has(name)) cache.set(name, elementsOf(tensor));
    return cache.get(name)!;
  };
  const tensor = (name: string): Float64Array => {
    const found = maybe(name);
    if (found === undefined) throw new Error(`no tensor ${name}`);
    return found;
  };
  const times = (weight: Float64Array, x: Float64Array): Float64Array =>
    Float64Array.from({ length: weight.length / x.length }, (_, o) => {
      let sum = 0;
      for (let c = 0; c < x.length; c++) sum += weight[o * x.length + c]! * x[c]!;
      return sum;
    });
  /** y = W·x, with the file's bias and the adapter's part where there are any. */
  const project = (stem: string, x: Float64Array): Float64Array => {
    const y = times(tensor(`${stem}.weight`), x);
    maybe(`${stem}.bias`)?.forEach((value, i) => (y[i]! += value));
    const a = adapter?.tensors.get(`${stem}.weight.lora_a`);
    const b = adapter?.tensors.get(`${stem}.weight.lora_b`);
    if (a !== undefined && b !== undefined) {
      // src/llama-adapter.cpp: scale = alpha / rank, rank = ne[0] of b
      const scale = (adapter!.metadata.get('adapter.lora.alpha')!.value as number) / b.dims[0]!;
      times(elementsOf(b), times(elementsOf(a), x)).forEach((value, i) => (y[i]! += scale * value));
    }
    return y;
  };
  const norm = (x: Float64Array, name: string): Float64Array => {
    const weight = tensor(`${name}.weight`);
    const out = new Float64Array(x.length);
    for (let at = 0; at < x.length; at += weight.length) {
      const part = x.subarray(at, at + weight.length);
      const scale = 1 / Math.sqrt(part.reduce((sum, value) => sum + value * value, 0) / part.length + eps);
      part.forEach((value, i) => (out[at + i] = value * scale * weight[i]!));
    }
    return out;
  };
  const factors = maybe('rope_freqs.weight');
  const rotate = (x: Float64Array, position: number): Float64Array => {
    const out = x.slice();
    for (let at = 0; at < x.length; at += size) {
      for (let i = 0; i < size / 2; i++) {
        const base = number('rope.freq_base') ** ((-2 * i) / size);
        const angle = (position * base) / linear / (factors?.[i] ?? 1);
        const [j, k] = arch === 'llama' ? [at + 2 * i, at + 2 * i + 1] : [at + i, at + i + size / 2];
        out[j] = x[j]! * Math.cos(angle) - x[k]! * Math.sin(angle);
        out[k] = x[j]! * Math.sin(angle) + x[k]! * Math.cos(angle);
      }
    }
    return out;
  };
  const soft = (value: number, limit: number | undefined): number =>
    limit === undefined ? value : limit * Math.tanh(value / limit);
  const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  const activate = (x: number): number => (arch === 'gemma2' ? gelu(x) : x / (1 + Math.exp(-x)));

  const width = number('embedding_length');
  const scale = arch === 'gemma2' ? Math.sqrt(width) : 1;
  let hidden: Float64Array[] = ids.map((id) =>
    tensor('token_embd.weight')
      .slice(id * width, (id + 1) * width)
      .map((v) => v * scale),
  );
  const add = (x: Float64Array, y: Float64Array): Float64Array => x.map((value, i) => value + y[i]!);
  for (let layer = 0; layer < number('block_count'); layer++) {
    const name = (part: string): string => `blk.${layer}.${part}`;
    const heading = (x: Float64Array, part: string): Float64Array =>
      file.tensors.has(name(`${part}.weight`)) ? norm(x, name(part)) : x;
    const inputs = hidden.map((x) => norm(x, name('attn_norm')));
    const q = inputs.map((x, n) => rotate(heading(project(name('attn_q'), x), 'attn_q_norm'), n));
    const k = inputs.map((x, n) => rotate(heading(project(name('attn_k'), x), 'attn_k_norm'), n));
    const v = inputs.map((x) => project(name('attn_v'), x));
    const reach = arch === 'gemma2' && layer % 2 === 0 ? window! : Infinity;
    hidden = hidden.map((x, n) => {
      const attended = new Float64Array(heads * size);
      for (let h = 0; h < heads; h++) {
        const g = Math.floor(h / (heads / kvHeads)) * size;
        const first = Math.max(0, n - reach + 1);
        const scores: number[] = [];
        for (let m = first; m <= n; m++) {
          let dot = 0;
          for (let i = 0; i < size; i++) dot += q[n]![h * size + i]! * k[m]![g + i]!;
          scores.push(soft(dot / Math.sqrt(size), cap));
        }
        const most = Math.max(...scores);
        const weights = scores.map((value) => Math.exp(value - most));
        const total = weights.reduce((a, b) => a + b);
        weights.forEach((weight, m) => {
          for (let i = 0; i < size; i++) attended[h * size + i]! += (weight / total) * v[first + m]![g + i]!;
        });
      }
      const middle = add(x, heading(project(name('attn_output'), attended), 'post_attention_norm'));
      const inner = norm(middle, name('ffn_norm'));
      const gate = project(name('ffn_gate'), inner);
      const up = project(name('ffn_up'), inner);
      const down = project(
        name('ffn_down'),
        gate.map((value, i) => activate(value) * up[i]!),
      );
      return add(middle, heading(down, 'post_ffw_norm'));
    });
  }
  // Without an output matrix, llama.cpp takes the embedding.
  const head = maybe('output.weight') ?? tensor('token_embd.weight');
  return hidden.map((x) => times(head, norm(x, 'output_norm')).map((value) => soft(value, finalCap)));
}
