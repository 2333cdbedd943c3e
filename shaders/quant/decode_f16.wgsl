// decode_f16: a chunk of a checkpoint's tensor as halves, checked; without shader-f16.
//   y[i] = stored[i] rounded to the nearest half, ties to even; what is not finite, or would not be (|x| ≥ 65520), is refused
// Shapes   stored f32, f16 or bf16 as words [elements]; y f16 as words [⌈elements/2⌉], the even element in the low half.
// Grid     one invocation per four elements, workgroups of 64, linear over x and y.
// Effect   writes y (0 for what is refused, and beside a last element alone in its word); raises chunk.refused.
// Exact    in whole numbers, as base/dtypes.ts (numberToF16): a conversion in WGSL may round either way.
// Preludes stored_chunk, and stored_f32, stored_f16 or stored_bf16.
// Pairs    kernels/decode.ts · reference/decode.ts · test/kernels/decode.test.ts

@group(0) @binding(2) var<storage, read_write> y: array<u32>;

// m / 2^shift, rounded to nearest, ties to even; shift 1 … 31.
fn shifted(m: u32, shift: u32) -> u32 {
  let half = 1u << (shift - 1u);
  return (m + half - 1u + ((m >> shift) & 1u)) >> shift;
}

// A float32's bits → a half's, for |x| < 65520.
fn half_bits(bits: u32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude < 0x33000001u) {
    return sign; // at most 2⁻²⁵
  }
  if (magnitude < 0x38800000u) {
    // A subnormal half: the mantissa with its leading one, in units of 2⁻²⁴. The shift is 14 … 24.
    return sign | shifted((magnitude & 0x7fffffu) | 0x800000u, 126u - (magnitude >> 23u));
  }
  return sign | shifted(magnitude - 0x38000000u, 13u);
}

@compute @workgroup_size(64)
fn decode_f16(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let first = (id.x + id.y * groups.x * 64u) * 4u;
  let end = min(first + 4u, chunk.elements);
  for (var at = first; at < end; at += 2u) {
    var word = 0u;
    for (var i = at; i < min(at + 2u, end); i++) {
      let bits = stored_bits(i);
      if ((bits & 0x7fffffffu) < 0x477ff000u) {
        word |= half_bits(bits) << ((i & 1u) << 4u);
      } else {
        refuse(i);
      }
    }
    y[at >> 1u] = word;
  }
}
