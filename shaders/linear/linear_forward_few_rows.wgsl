// linear_forward_few_rows: y = x·Wᵀ for a handful of rows (decoding), for GPUs: every weight is read once per four rows.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     workgroups of LANES invocations: ⌈O/4⌉ of them linear over x and y, ⌈rows/4⌉ over z; one makes 4 rows × 4 columns.
// Effect   writes, or ADDS with `accumulate`; rows [rows.first, rows.end) only.
// Uses     the lanes share out the terms c, neighbours reading neighbouring quads; their sums are joined by a tree.
// Preludes product, left_*, right_*, right_patches, out_*.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

override LANES: u32 = 64; // a power of two

var<workgroup> part: array<mat4x4<f32>, LANES>; // column r: row r of the tile

@compute @workgroup_size(LANES)
fn linear_forward_few_rows(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let p = product;
  let most = p.out_width - 1u;
  let column4 = group.x + group.y * groups.x;
  let first = rows.first + 4u * group.z;
  let last = rows.end - 1u;
  var sums = mat4x4<f32>();
  for (var k = lane; k < (p.left_width + 3u) / 4u; k += LANES) {
    let b = right_columns(4u * column4, most, k, p.right_width);
    sums[0] += b * left4(first, k, p.left_width);
    if (first < last) {
      sums[1] += b * left4(min(first + 1u, last), k, p.left_width);
      sums[2] += b * left4(min(first + 2u, last), k, p.left_width);
      sums[3] += b * left4(min(first + 3u, last), k, p.left_width);
    }
  }
  part[lane] = sums;
  for (var half = LANES / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) {
      part[lane] += part[lane + half];
    }
  }
  // Invocation 0 wrote and alone reads the total.
  if (lane == 0u) {
    let total = part[0];
    for (var r = 0u; r < min(4u, rows.end - first); r++) {
      out4(first + r, column4, total[r], p);
    }
  }
}
