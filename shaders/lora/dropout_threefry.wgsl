// dropout_threefry.wgsl (prelude, after random.wgsl): dropout of a LoRA input x (N, C), recomputed wherever it is needed and
// never stored. Element e = n·C + c is kept when u(e) ≥ rate, and then multiplied by 1/(1 − rate):
//   u(e) = unit(word e mod 2 of Threefry(key (seed, stream), counter (step·65536 + micro, ⌊e/2⌋)))
// so a mask depends on the seed, the layer's stream, the step, the micro-batch and the place, and on nothing else.
// Source   Srivastava et al. 2014; Salmon et al. 2011 for the generator. Pairs with reference/lora.ts.

const MASKED_NOTHING = 0u;
const MASKED_LEFT = 1u;
const MASKED_RIGHT = 2u;
const MASKED_OUT = 3u;
override MASKED: u32; // which operand of the product is masked
override DROPOUT_STREAM: u32;
override DROPOUT_RATE: f32;
override DROPOUT_SCALE: f32; // 1/(1 − rate), rounded once on the CPU
@group(0) @binding(4) var<storage, read> dropout_seed: array<u32, 4>; // seed, step, micro-batch, 0

fn dropout_pair(pair: u32) -> vec2<f32> {
  let words = threefry2x32(vec2<u32>(dropout_seed[0], DROPOUT_STREAM), vec2<u32>(dropout_seed[1] * 65536u + dropout_seed[2], pair));
  let u = vec2<f32>(unit_float(words.x), unit_float(words.y));
  return select(vec2<f32>(), vec2<f32>(DROPOUT_SCALE), u >= vec2<f32>(DROPOUT_RATE));
}

fn dropped4(v: vec4<f32>, element: u32) -> vec4<f32> {
  let pair = element >> 1u;
  let a = dropout_pair(pair);
  let b = dropout_pair(pair + 1u);
  if ((element & 1u) == 0u) {
    return v * vec4<f32>(a, b);
  }
  let c = dropout_pair(pair + 2u);
  return v * vec4<f32>(a.y, b.x, b.y, c.x);
}
