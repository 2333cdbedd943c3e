// lane_reductions.wgsl (prelude): sums and maxima over the lanes of one workgroup, by a tree of fixed order, so a repeat run
// gives the same bits. Call from uniform control flow; every lane gets the result.

override lanes: u32 = 64; // invocations in the workgroup; a power of two

var<workgroup> lane_values: array<f32, lanes>;

fn sum_over_lanes(lane: u32, value: f32) -> f32 {
  lane_values[lane] = value;
  workgroupBarrier();
  for (var half = lanes / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      lane_values[lane] += lane_values[lane + half];
    }
    workgroupBarrier();
  }
  let total = lane_values[0];
  workgroupBarrier(); // everybody has read before the next reduction writes
  return total;
}

fn max_over_lanes(lane: u32, value: f32) -> f32 {
  lane_values[lane] = value;
  workgroupBarrier();
  for (var half = lanes / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      lane_values[lane] = max(lane_values[lane], lane_values[lane + half]);
    }
    workgroupBarrier();
  }
  let largest = lane_values[0];
  workgroupBarrier();
  return largest;
}
