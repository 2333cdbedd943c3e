// linear_forward_few_rows: y = x·Wᵀ for a handful of rows (decoding): every weight is read once per four rows.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     workgroups of LANES invocations: ⌈O/4⌉ of them linear over x and y, ⌈rows/4⌉ over z; one makes 4 rows × 4 columns.
// Effect   writes, or ADDS with ACCUMULATE; rows [rows.first, rows.end) only.
// Uses     the lanes share out the terms c, neighbours reading neighbouring quads; their sums are joined by a tree.
// Preludes a dropout prelude (shaders/lora), left_*, right_*, out_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

override LANES: u32 = 64; // a power of two

var<workgroup> part: array<mat4x4<f32>, LANES>; // column r: row r of the tile

@compute @workgroup_size(LANES)
fn linear_forward_few_rows(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let column4 = group.x + group.y * groups.x;
  let first = rows.first + 4u * group.z;
  let last = rows.end - 1u;
  let most = OUT_WIDTH - 1u;
  let o0 = min(4u * column4, most);
  let o1 = min(4u * column4 + 1u, most);
  let o2 = min(4u * column4 + 2u, most);
  let o3 = min(4u * column4 + 3u, most);
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  for (var k = lane; k < (LEFT_WIDTH + 3u) / 4u; k += LANES) {
    let b = mat4x4<f32>(right4(o0, k), right4(o1, k), right4(o2, k), right4(o3, k));
    acc0 += left4(first, k) * b;
    if (first + 1u < rows.end) {
      acc1 += left4(min(first + 1u, last), k) * b;
      acc2 += left4(min(first + 2u, last), k) * b;
      acc3 += left4(min(first + 3u, last), k) * b;
    }
  }
  part[lane] = mat4x4<f32>(acc0, acc1, acc2, acc3);
  for (var half = LANES / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) {
      part[lane] += part[lane + half];
    }
  }
  // Invocation 0 wrote and alone reads the total.
  if (lane == 0u) {
    let total = part[0];
    out4(first, column4, total[0]);
    if (first + 1u < rows.end) {
      out4(first + 1u, column4, total[1]);
    }
    if (first + 2u < rows.end) {
      out4(first + 2u, column4, total[2]);
    }
    if (first + 3u < rows.end) {
      out4(first + 3u, column4, total[3]);
    }
  }
}
