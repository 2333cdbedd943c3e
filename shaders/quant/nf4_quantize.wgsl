// nf4_quantize: a chunk of weights into NormalFloat-4, byte for byte as bitsandbytes packs them.
//   absmax[b] = max |x| over elements 64b … 64b+63;  q(x) = number of thresholds below x · (1/absmax[b]), strictly
// Paper    Dettmers et al. 2023, arXiv:2305.14314, §3; bitsandbytes 0.50 functional.py.
// Shapes   stored f32, f16 or bf16 as words [elements], packed u8 [⌈elements/2⌉] as words (EVEN element in the HIGH nibble),
//          absmax f32 [blocks].
// Grid     one invocation a block of 64, workgroups of 64, linear over x and y.
// Effect   writes packed and absmax; the unused low nibble of an odd number of elements is 7. Raises chunk.refused for
//          elements that are not finite.
// Exact    the reciprocal is rounded correctly by integer long division, since WGSL's division may err by 2.5 units in the
//          last place and one is enough to move an element across a threshold. x·(1/absmax) is one correctly rounded product.
//          The maximum is one of bits: finite magnitudes are ordered as whole numbers are, and what is not finite is above them.
// Doubt    magnitudes outside 2⁻¹²⁶ … 2¹²⁶ use WGSL's own division.
// Preludes stored_chunk, stored_f32, stored_f16 or stored_bf16, and nf4_reciprocal.
// Pairs    kernels/quantize.ts · reference/nf4.ts · test/kernels/nf4.test.ts · test/golden/nf4.test.ts

@group(0) @binding(2) var<storage, read_write> packed: array<u32>;
@group(0) @binding(3) var<storage, read_write> absmax: array<f32>;

fn nf4_code(v: f32) -> u32 {
  // Midpoints of neighbouring codes, as float32; a balanced tree of strict comparisons.
  if (v > 0.03979014977812767) {
    if (v > 0.3893125355243683) {
      if (v > 0.6427869200706482) {
        return select(14u, 15u, v > 0.8614784181118011);
      }
      return select(12u, 13u, v > 0.5016634166240692);
    }
    if (v > 0.2035212516784668) {
      return select(10u, 11u, v > 0.2920137718319893);
    }
    return select(8u, 9u, v > 0.1202552504837513);
  }
  if (v > -0.33967943489551544) {
    if (v > -0.13791173315048218) {
      return select(6u, 7u, v > -0.045525018125772475);
    }
    return select(4u, 5u, v > -0.23460740596055984);
  }
  if (v > -0.6106329262256622) {
    return select(2u, 3u, v > -0.4599952697753906);
  }
  return select(0u, 1u, v > -0.8480964004993439);
}

@compute @workgroup_size(64)
fn nf4_quantize(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let block = id.x + id.y * groups.x * 64u;
  let first = block * 64u;
  if (first >= chunk.elements) {
    return;
  }
  let end = min(first + 64u, chunk.elements);
  var most_bits = 0u;
  for (var i = first; i < end; i++) {
    most_bits = max(most_bits, stored_bits(i) & 0x7fffffffu);
  }
  if (most_bits >= 0x7f800000u) {
    for (var i = first; i < end; i++) {
      if ((stored_bits(i) & 0x7fffffffu) >= 0x7f800000u) {
        refuse(i);
      }
    }
    return;
  }
  let most = bitcast<f32>(most_bits);
  absmax[block] = most;
  let inverse = reciprocal(most);
  for (var at = first; at < end; at += 8u) {
    var word = 0u;
    for (var j = 0u; j < 8u; j++) {
      if (at + j < end) {
        word |= nf4_code(bitcast<f32>(stored_bits(at + j)) * inverse) << ((j * 4u) ^ 4u);
      } else if (at + j == end && (end & 1u) == 1u) {
        word |= 7u << ((j * 4u) ^ 4u); // bitsandbytes pads an odd number of elements with a zero
      }
    }
    packed[at / 8u] = word;
  }
}
