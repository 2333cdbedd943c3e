// nf4_absmax_quantize: double quantisation of the block scales, as bitsandbytes' 8-bit blockwise quantisation does it.
//   offset = mean of absmax (nf4_absmax_mean);  d[b] = absmax[b] − offset;  nested_absmax[g] = max |d| over blocks 256g … 256g+255
//   codes[b] = nearest value of the dynamic map to clamp(d[b] · (1/nested_absmax[g]), −1, 1)
// Paper    Dettmers et al. 2023, arXiv:2305.14314, §3 (double quantisation); Dettmers et al. 2022, arXiv:2110.02861 (map).
// Shapes   absmax f32 [BLOCKS], mean f32 [1], codes u8 [BLOCKS] as words, nested f32 (as bits) [257 + ⌈BLOCKS/256⌉]: map (read),
//          offset, nested absmax (written).
// Grid     one workgroup of 64 invocations per 256 blocks, linear over x and y; one invocation writes one word (4 codes).
// Effect   writes codes, nested[256] and nested[257 …]. All workgroups write the same offset.
// Preludes nf4_reciprocal.
// Pairs    kernels/quantize.ts · reference/nf4.ts · test/kernels/nf4.test.ts · test/golden/nf4.test.ts

override BLOCKS: u32;
@group(0) @binding(0) var<storage, read> absmax: array<f32>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> codes: array<u32>;
@group(0) @binding(3) var<storage, read_write> nested: array<u32>;

var<workgroup> most: array<f32, 64>;

// Nearest of the 256 ascending map values; the lower one in a tie.
fn nearest(v: f32) -> u32 {
  var low = 0u;
  var high = 255u;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (bitcast<f32>(nested[middle]) <= v) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return select(low, high, bitcast<f32>(nested[high]) - v < v - bitcast<f32>(nested[low]));
}

@compute @workgroup_size(64)
fn nf4_absmax_quantize(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.x + group.y * groups.x;
  let first = block * 256u + lane * 4u;
  let offset = mean[0];
  var own = 0.0;
  for (var b = first; b < min(first + 4u, BLOCKS); b++) {
    own = max(own, abs(absmax[b] - offset));
  }
  most[lane] = own;
  for (var half = 32u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) {
      most[lane] = max(most[lane], most[lane + half]);
    }
  }
  workgroupBarrier();
  if (block * 256u >= BLOCKS) {
    return;
  }
  if (lane == 0u) {
    // As bits: 1e-38, which bitsandbytes puts for zero, is subnormal, and a GPU may flush that.
    nested[257u + block] = select(bitcast<u32>(most[0]), 0x006ce3eeu, most[0] == 0.0);
    nested[256] = bitcast<u32>(offset);
  }
  if (first < BLOCKS) {
    let inverse = reciprocal(most[0]);
    var word = 0u;
    for (var j = 0u; j < min(4u, BLOCKS - first); j++) {
      word |= nearest(clamp((absmax[first + j] - offset) * inverse, -1.0, 1.0)) << (8u * j);
    }
    codes[first / 4u] = word;
  }
}
