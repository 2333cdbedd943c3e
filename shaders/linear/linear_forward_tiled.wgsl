// linear_forward_tiled: y = x·Wᵀ through workgroup memory, for GPUs.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/64⌉, ⌈rows of out/128⌉) workgroups of 256 invocations; one invocation owns 8 rows × 4 columns.
// Effect   writes, or ADDS with `accumulate`; rows [rows.first, rows.end) only. Terms are added in order.
// Uses     12 KiB of workgroup memory; the next panel is fetched into registers while the present one is used. Any size.
// Preludes product, left_*, left_transposed, right_*, right_patches, out_*, tile_eight_rows, tiled.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

@compute @workgroup_size(256)
fn linear_forward_tiled(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let p = product;
  let most = p.out_width - 1u;
  let tile_row = rows.first + 128u * group.y;
  let last = rows.end - 1u;
  let panels = (p.left_width + 15u) / 16u;
  let quads = (p.left_width + 3u) / 4u;
  let fetch_o = 64u * group.x + 4u * ((t / 4u) % 16u); // invocations 128 … 191 fetch the right panel's patches
  var sums = Sums();
  var piece = mat4x4<f32>();
  if (t < 128u) {
    piece = fetch_rows(t, tile_row, last, 0u, p.left_width);
  } else if (t < 192u) {
    piece = right_columns(fetch_o, most, min(t % 4u, quads - 1u), p.right_width);
  }
  for (var panel = 0u; panel < panels; panel++) {
    if (t < 128u) {
      put_rows(t, piece);
    } else if (t < 192u) {
      let at = 64u * (t % 4u) + (t / 4u) % 16u; // term · 16 + quad
      right_tile[at] = piece[0];
      right_tile[at + 16u] = piece[1];
      right_tile[at + 32u] = piece[2];
      right_tile[at + 48u] = piece[3];
    }
    workgroupBarrier();
    if (panel + 1u < panels) {
      if (t < 128u) {
        piece = fetch_rows(t, tile_row, last, panel + 1u, p.left_width);
      } else if (t < 192u) {
        piece = right_columns(fetch_o, most, min(4u * (panel + 1u) + t % 4u, quads - 1u), p.right_width);
      }
    }
    add_tiles(&sums, t);
    workgroupBarrier();
  }
  store_sums(sums, tile_row + 8u * (t / 16u), rows.end, 16u * group.x + t % 16u, p);
}
