// nf4_weight.wgsl (prelude, after nf4_codebook.wgsl): a frozen NF4 weight (O, C), decoded where it is read.
//   W[o, c] = code[nibble(i)] · absmax[i / 64]        i = o·C + c; the EVEN element in the HIGH nibble of its byte
//   absmax[b] = map[q8[b]] · nested_absmax[b / 256] + offset      (double quantisation)
// Shapes   packed u8 [⌈O·C/2⌉] as words; absmax f32 [blocks] or u8 [blocks], as words; nested f32 [257 + ⌈blocks/256⌉]
//          (256 map values, offset, nested absmax); for single quantisation `nested` is bound to anything and not read.
// Source   Dettmers et al. 2023, arXiv:2305.14314, §3; bitsandbytes 0.50 csrc/kernels.cu.

override DOUBLE: bool = false;
override FIRST_BLOCK: u32 = 0; // blocks before `right`, where it is a part of the weight; absmax and nested are the whole's
@group(0) @binding(2) var<storage, read> right: array<u32>;
@group(0) @binding(5) var<storage, read> absmax: array<u32>;
@group(0) @binding(6) var<storage, read> nested: array<u32>;

fn nf4_scale(part_block: u32) -> f32 {
  let block = FIRST_BLOCK + part_block;
  if (DOUBLE) {
    let code = extractBits(absmax[block >> 2u], (block & 3u) * 8u, 8u);
    let product = bitcast<f32>(nested[code]) * bitcast<f32>(nested[257u + (block >> 8u)]);
    // The bound, which no model's weight reaches, keeps the compiler from fusing product and sum: bitsandbytes rounds both,
    // and where they cancel one rounding is many units in the last place (NVIDIA fuses: 11 of them, H100).
    return min(product, 0x1p+126) + bitcast<f32>(nested[256]);
  }
  return bitcast<f32>(absmax[block]);
}

// The four codes in a word's low 16 bits: bytes (e0 e1) (e2 e3), high nibble first.
fn nf4_codes(half: u32) -> vec4<f32> {
  return vec4<f32>(
    NF4_CODES[(half >> 4u) & 15u],
    NF4_CODES[half & 15u],
    NF4_CODES[(half >> 12u) & 15u],
    NF4_CODES[(half >> 8u) & 15u],
  );
}

fn nf4_element(i: u32) -> f32 {
  let byte_at = i >> 1u;
  let shift = (byte_at & 3u) * 8u + select(4u, 0u, (i & 1u) == 1u);
  return NF4_CODES[extractBits(right[byte_at >> 2u], shift, 4u)] * nf4_scale(i >> 6u);
}
