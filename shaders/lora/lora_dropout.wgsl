// lora_dropout (after random.wgsl): dropout of a LoRA branch's input, or the same mask over its gradient.
//   y[e] = mask(e) · x[e], or y[e] += …        element e = n·width + c
//   mask(e) = 1/(1 − rate) where u(e) ≥ rate, else 0
//   u(e) = unit(word e mod 2 of Threefry(key (seed, stream), counter (step·65536 + micro, ⌊e/2⌋)))
// So a mask depends on the seed, the layer's stream, the step, the micro-batch and the place, and on nothing else: the
// backward draws the forward's mask again instead of keeping it.
// Source   Srivastava et al. 2014; Salmon et al. 2011 for the generator.
// Shapes   x, y (N, width) f32; counters (4) u32 = seed, step, micro-batch, stream.
// Grid     one invocation per pair of elements.
// Effect   WRITES y, or ADDS into it.
// Pairs    kernels/lora.ts · reference/lora.ts · test/kernels/lora.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

// Data, so that one pipeline serves every layer.
struct Dropout {
  width: u32,
  rate: f32,
  scale: f32, // 1/(1 − rate), rounded once on the CPU
}

override ACCUMULATE: bool;

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> counters: array<u32, 4>;
@group(0) @binding(4) var<uniform> dropout: Dropout;

fn put(e: u32, word: u32, d: Dropout) {
  let v = select(0.0, d.scale * x[e], unit_float(word) >= d.rate);
  if (ACCUMULATE) {
    y[e] += v;
  } else {
    y[e] = v;
  }
}

@compute @workgroup_size(64)
fn lora_dropout(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let d = dropout;
  let first = rows.first * d.width;
  let end = rows.end * d.width;
  let pair = first / 2u + id.y * groups.x * 64u + id.x;
  let e = 2u * pair;
  if (e >= end) {
    return;
  }
  let words = threefry2x32(vec2<u32>(counters[0], counters[3]), vec2<u32>(counters[1] * 65536u + counters[2], pair));
  // Slices may meet inside a pair: each writes its own elements only.
  if (e >= first) {
    put(e, words.x, d);
  }
  if (e + 1u < end) {
    put(e + 1u, words.y, d);
  }
}
