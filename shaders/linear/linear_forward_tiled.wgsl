// linear_forward_tiled: y = x·Wᵀ through workgroup memory, for GPUs.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/64⌉, ⌈rows of out/128⌉) workgroups of 256 invocations; one invocation owns 8 rows × 4 columns.
// Effect   writes, or ADDS with ACCUMULATE; rows [rows.first, rows.end) only.
// Uses     12 KiB of workgroup memory: panels of 16 terms, transposed so that both are read as vec4; the next panel is
//          fetched into registers while the present one is used. Any size; terms past the end are zero.
// Preludes a dropout prelude (shaders/lora), left_*, right_*, out_* (shaders/linear).
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

var<workgroup> left_tile: array<vec4<f32>, 512>; // (16 terms, 32 row quads)
var<workgroup> right_tile: array<vec4<f32>, 256>; // (16 terms, 16 column quads)

// Four terms of rows first … first + 3, none past `last`, transposed; zero past the last term.
fn left_patch(first: u32, last: u32, k4: u32, quads: u32) -> mat4x4<f32> {
  let k = min(k4, quads - 1u);
  let inside = select(0.0, 1.0, k4 < quads);
  return inside * transpose(mat4x4<f32>(
    left4(min(first, last), k),
    left4(min(first + 1u, last), k),
    left4(min(first + 2u, last), k),
    left4(min(first + 3u, last), k),
  ));
}

// Four terms of rows o … o + 3 of the weight, none past `most`, transposed.
fn right_patch(o: u32, most: u32, k: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(
    right4(min(o, most), k),
    right4(min(o + 1u, most), k),
    right4(min(o + 2u, most), k),
    right4(min(o + 3u, most), k),
  ));
}

@compute @workgroup_size(256)
fn linear_forward_tiled(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let column4 = 16u * group.x + t % 16u;
  let quad = 2u * (t / 16u); // the invocation's first row quad inside the tile
  let tile_row = rows.first + 128u * group.y;
  let last = rows.end - 1u;
  // Fetching: four terms of four rows make one patch, transposed in registers; 128 invocations fetch the left panel's.
  let fetch_k = t % 4u;
  let fetch_quad = t / 4u;
  let fetch_row = tile_row + 4u * fetch_quad;
  let panels = (LEFT_WIDTH + 15u) / 16u;
  let quads = (LEFT_WIDTH + 3u) / 4u;
  let fetch_o = 64u * group.x + 4u * (fetch_quad % 16u); // invocations 128 … 191 fetch the right panel's patches
  let most = OUT_WIDTH - 1u;
  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  var acc4 = vec4<f32>();
  var acc5 = vec4<f32>();
  var acc6 = vec4<f32>();
  var acc7 = vec4<f32>();
  var piece = mat4x4<f32>();
  if (t < 128u) {
    piece = left_patch(fetch_row, last, 4u * 0u + fetch_k, quads);
  } else if (t < 192u) {
    piece = right_patch(fetch_o, most, min(4u * 0u + fetch_k, quads - 1u));
  }
  for (var panel = 0u; panel < panels; panel++) {
    if (t < 128u) {
      let at = 128u * fetch_k + fetch_quad; // term · 32 + quad
      left_tile[at] = piece[0];
      left_tile[at + 32u] = piece[1];
      left_tile[at + 64u] = piece[2];
      left_tile[at + 96u] = piece[3];
    } else if (t < 192u) {
      let at = 64u * fetch_k + fetch_quad % 16u; // term · 16 + quad
      right_tile[at] = piece[0];
      right_tile[at + 16u] = piece[1];
      right_tile[at + 32u] = piece[2];
      right_tile[at + 48u] = piece[3];
    }
    workgroupBarrier();
    if (panel + 1u < panels) {
      if (t < 128u) {
        piece = left_patch(fetch_row, last, 4u * (panel + 1u) + fetch_k, quads);
      } else if (t < 192u) {
        piece = right_patch(fetch_o, most, min(4u * (panel + 1u) + fetch_k, quads - 1u));
      }
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
  if (row + 0u < rows.end) {
    out4(row + 0u, column4, acc0);
  }
  if (row + 1u < rows.end) {
    out4(row + 1u, column4, acc1);
  }
  if (row + 2u < rows.end) {
    out4(row + 2u, column4, acc2);
  }
  if (row + 3u < rows.end) {
    out4(row + 3u, column4, acc3);
  }
  if (row + 4u < rows.end) {
    out4(row + 4u, column4, acc4);
  }
  if (row + 5u < rows.end) {
    out4(row + 5u, column4, acc5);
  }
  if (row + 6u < rows.end) {
    out4(row + 6u, column4, acc6);
  }
  if (row + 7u < rows.end) {
    out4(row + 7u, column4, acc7);
  }
}
