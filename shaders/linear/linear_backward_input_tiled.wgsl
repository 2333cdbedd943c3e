// linear_backward_input_tiled: dX = dY·W through workgroup memory, for GPUs.
//   out[n, c] (+)= α Σ_o left[n, o] · right[o, c]
// Shapes   left dY (N, O), right W (O, C), out dX (N, C); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/64⌉, ⌈rows of out/128⌉) workgroups of 256 invocations; one invocation owns 8 rows × 4 columns.
// Effect   writes, or ADDS with `accumulate`; rows [rows.first, rows.end) only. Terms are added in order.
// Uses     12 KiB of workgroup memory; the next panel is fetched into registers while the present one is used. Any size.
// Preludes product, left_*, left_transposed, right_*, right_patches, out_*, tile_eight_rows, tiled.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

@compute @workgroup_size(256)
fn linear_backward_input_tiled(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let p = product;
  let column4 = 16u * group.x + t % 16u;
  let tile_row = rows.first + 128u * group.y;
  let last = rows.end - 1u;
  let panels = (p.left_width + 15u) / 16u;
  let fetch_column = min(column4, (p.right_width - 1u) / 4u);
  let fetch_term = t / 16u;
  var sums = Sums();
  var piece = mat4x4<f32>();
  if (t < 128u) {
    piece = fetch_rows(t, tile_row, last, 0u, p.left_width);
  }
  var w = right4(min(fetch_term, p.left_width - 1u), fetch_column, p.right_width);
  for (var panel = 0u; panel < panels; panel++) {
    if (t < 128u) {
      put_rows(t, piece);
    }
    right_tile[t] = w; // fetch_term · 16 + t mod 16
    workgroupBarrier();
    if (panel + 1u < panels) {
      if (t < 128u) {
        piece = fetch_rows(t, tile_row, last, panel + 1u, p.left_width);
      }
      w = right4(min(16u * (panel + 1u) + fetch_term, p.left_width - 1u), fetch_column, p.right_width);
    }
    add_tiles(&sums, t);
    workgroupBarrier();
  }
  store_sums(sums, tile_row + 8u * (t / 16u), rows.end, column4, p);
}
