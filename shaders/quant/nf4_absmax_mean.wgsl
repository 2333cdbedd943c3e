// nf4_absmax_mean: the mean of all absmax, in float32 and in PyTorch's order on a CPU, so that it is the same to the last bit.
//   mean = torchSum(values) / COUNT      (see reference/nf4.ts: 4 rows of LANES lanes, four levels of partial sums)
// Shapes   values f32 [COUNT]; sums f32 [RUNS, 4·LANES] from nf4_absmax_sum; mean f32 [1].
// Grid     one workgroup of 32 invocations; invocation s < 4·LANES has row s / LANES, lane s % LANES.
// Effect   writes mean.
// Exact    additions in a fixed order; the quotient is rounded correctly by integer long division, since WGSL's division
//          may err by 2.5 units in the last place.
// Doubt    a quotient below 2⁻¹²⁶ and sums that are not finite use WGSL's own division.
// Pairs    kernels/quantize.ts · reference/nf4.ts (torchSum) · test/kernels/nf4.test.ts · test/golden/nf4.test.ts

override COUNT: u32;
override RUNS: u32;
override STEP: u32;
override LEVEL_POWER: u32; // STEP = 2^LEVEL_POWER
override LANES: u32; // 8, or 1 for COUNT < 8
@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;

var<workgroup> part: array<f32, 32>;

// a/b rounded to nearest. There are no ties: a would need more than 24 bits.
fn divide(a: f32, b: f32) -> f32 {
  let a_bits = bitcast<u32>(a);
  let b_bits = bitcast<u32>(b);
  var rest = (a_bits & 0x7fffffu) | 0x800000u;
  let m = (b_bits & 0x7fffffu) | 0x800000u;
  var exponent = i32(a_bits >> 23u) - i32(b_bits >> 23u) + 127;
  if (rest < m) {
    rest <<= 1u;
    exponent -= 1;
  }
  if (a_bits < 0x800000u || a_bits >= 0x7f800000u || exponent < 1) {
    return a / b;
  }
  var quotient = 0u;
  for (var i = 0u; i < 24u; i++) {
    quotient <<= 1u;
    if (rest >= m) {
      rest -= m;
      quotient |= 1u;
    }
    rest <<= 1u;
  }
  quotient += select(0u, 1u, rest > m);
  return bitcast<f32>((u32(exponent) << 23u) + (quotient - 0x800000u));
}

@compute @workgroup_size(32)
fn nf4_absmax_mean(@builtin(local_invocation_index) strand: u32) {
  let strands = 4u * LANES;
  if (strand < strands) {
    // Level 0 is a run, added up already; level l is handed on after 2^(l·LEVEL_POWER) runs.
    var level = array<f32, 4>();
    for (var run = 0u; run < RUNS; run++) {
      level[1] += sums[run * strands + strand];
      let done = run + 1u;
      let mask = STEP - 1u;
      if ((done & mask) == 0u) {
        level[2] += level[1];
        level[1] = 0.0;
        if (((done >> LEVEL_POWER) & mask) == 0u) {
          level[3] += level[2];
          level[2] = 0.0;
        }
      }
    }
    for (var i = RUNS * STEP; i < COUNT / strands; i++) {
      level[0] += values[i * strands + strand];
    }
    part[strand] = level[0] + level[1] + level[2] + level[3];
  }
  workgroupBarrier();
  if (strand < LANES) {
    // Whole vectors left over go to row 0, then the rows are added up.
    var lane = part[strand];
    for (var i = COUNT / strands * 4u; i < COUNT / LANES; i++) {
      lane += values[i * LANES + strand];
    }
    for (var row = 1u; row < 4u; row++) {
      lane += part[row * LANES + strand];
    }
    part[strand] = lane;
  }
  workgroupBarrier();
  if (strand == 0u) {
    var total = 0.0;
    for (var i = COUNT / LANES * LANES; i < COUNT; i++) {
      total += values[i];
    }
    for (var lane = 0u; lane < LANES; lane++) {
      total += part[lane];
    }
    mean[0] = divide(total, f32(COUNT));
  }
}
