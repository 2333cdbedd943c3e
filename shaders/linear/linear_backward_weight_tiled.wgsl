// linear_backward_weight_tiled: dW += dYᵀ·x through workgroup memory, for GPUs.
//   out[o, c] += α Σ_n left[n, o] · right[n, c]
// Shapes   left dY (N, O), right x (N, C), out dW (O, C); f32, row-major.
// Grid     (⌈columns/64⌉, ⌈rows of out/128⌉) workgroups of 256 invocations; one invocation owns 8 rows × 4 columns.
// Effect   ADDS (with ACCUMULATE) the sum over rows [rows.first, rows.end); rows are added one after another.
// Uses     12 KiB of workgroup memory: panels of 16 terms, transposed so that both are read as vec4; the next panel is
//          fetched into registers while the present one is used. Any size; terms past the end are zero.
// Preludes a dropout prelude (shaders/lora), left_*, right_*, out_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

var<workgroup> left_tile: array<vec4<f32>, 512>; // (16 terms, 32 row quads)
var<workgroup> right_tile: array<vec4<f32>, 256>; // (16 terms, 16 column quads)

// Four columns of dY's row rows.first + term, zero past the last row.
fn fetch_row(term: u32, column4: u32) -> vec4<f32> {
  let terms = rows.end - rows.first;
  return select(vec4<f32>(), left4(rows.first + min(term, terms - 1u), column4), term < terms);
}

@compute @workgroup_size(256)
fn linear_backward_weight_tiled(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let column4 = 16u * group.x + t % 16u;
  let quad = 2u * (t / 16u); // the invocation's first row quad inside the tile
  let tile_row = 128u * group.y; // row of dW
  // What the invocation fetches of a panel: 16 rows n of 32 quads of dY and 16 quads of x.
  let fetch_left = min(tile_row / 4u + t % 32u, (LEFT_WIDTH - 1u) / 4u);
  let fetch_left_term = t / 32u; // and 8 terms on
  let fetch_column = min(column4, (OUT_WIDTH - 1u) / 4u);
  let fetch_term = t / 16u;
  let terms = rows.end - rows.first;
  let panels = (terms + 15u) / 16u;
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  var acc4 = vec4<f32>();
  var acc5 = vec4<f32>();
  var acc6 = vec4<f32>();
  var acc7 = vec4<f32>();
  var a = fetch_row(16u * 0u + fetch_left_term, fetch_left);
  var b = fetch_row(16u * 0u + fetch_left_term + 8u, fetch_left);
  var w = right4(rows.first + min(16u * 0u + fetch_term, terms - 1u), fetch_column);
  for (var panel = 0u; panel < panels; panel++) {
    left_tile[t] = a; // fetch_left_term · 32 + t mod 32
    left_tile[t + 256u] = b;
    right_tile[t] = w; // fetch_term · 16 + t mod 16
    workgroupBarrier();
    if (panel + 1u < panels) {
      a = fetch_row(16u * (panel + 1u) + fetch_left_term, fetch_left);
      b = fetch_row(16u * (panel + 1u) + fetch_left_term + 8u, fetch_left);
      w = right4(rows.first + min(16u * (panel + 1u) + fetch_term, terms - 1u), fetch_column);
    }
    for (var k = 0u; k < 16u; k++) {
      let w4 = right_tile[k * 16u + t % 16u];
      let low = left_tile[k * 32u + quad];
      let high = left_tile[k * 32u + quad + 1u];
      acc0 += low.x * w4;
      acc1 += low.y * w4;
      acc2 += low.z * w4;
      acc3 += low.w * w4;
      acc4 += high.x * w4;
      acc5 += high.y * w4;
      acc6 += high.z * w4;
      acc7 += high.w * w4;
    }
    workgroupBarrier();
  }
  let row = tile_row + 4u * quad;
  if (row + 0u < LEFT_WIDTH) {
    out4(row + 0u, column4, acc0);
  }
  if (row + 1u < LEFT_WIDTH) {
    out4(row + 1u, column4, acc1);
  }
  if (row + 2u < LEFT_WIDTH) {
    out4(row + 2u, column4, acc2);
  }
  if (row + 3u < LEFT_WIDTH) {
    out4(row + 3u, column4, acc3);
  }
  if (row + 4u < LEFT_WIDTH) {
    out4(row + 4u, column4, acc4);
  }
  if (row + 5u < LEFT_WIDTH) {
    out4(row + 5u, column4, acc5);
  }
  if (row + 6u < LEFT_WIDTH) {
    out4(row + 6u, column4, acc6);
  }
  if (row + 7u < LEFT_WIDTH) {
    out4(row + 7u, column4, acc7);
  }
}
