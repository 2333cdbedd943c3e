// linear_backward_weight_tiled: dW += dYᵀ·x through workgroup memory, for GPUs.
//   out[o, c] (+)= α Σ_n left[n, o] · right[n, c]
// Shapes   left dY (N, O), right x (N, C), out dW (O, C); f32, row-major.
// Grid     (⌈columns/64⌉, ⌈rows of out/128⌉) workgroups of 256 invocations; one invocation owns 8 rows × 4 columns.
// Effect   ADDS (with `accumulate`) the sum over rows [rows.first, rows.end); they are added in order.
// Uses     12 KiB of workgroup memory; the next panel is fetched into registers while the present one is used. Any size.
// Preludes product, left_*, left_transposed, right_*, out_*, tile_eight_rows, tiled.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

// Four columns of dY's row rows.first + term, zero past the last row.
fn fetch_term(term: u32, column4: u32, width: u32) -> vec4<f32> {
  let terms = rows.end - rows.first;
  return select(vec4<f32>(), left4(rows.first + min(term, terms - 1u), column4, width), term < terms);
}

@compute @workgroup_size(256)
fn linear_backward_weight_tiled(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let p = product;
  let column4 = 16u * group.x + t % 16u;
  let tile_row = 128u * group.y; // row of dW
  // What the invocation fetches of a panel: 16 rows n of 32 quads of dY and 16 quads of x.
  let fetch_left = min(tile_row / 4u + t % 32u, (p.left_width - 1u) / 4u);
  let left_term = t / 32u; // and 8 terms on
  let fetch_column = min(column4, (p.right_width - 1u) / 4u);
  let right_term = t / 16u;
  let terms = rows.end - rows.first;
  let panels = (terms + 15u) / 16u;
  var sums = Sums();
  var a = fetch_term(left_term, fetch_left, p.left_width);
  var b = fetch_term(left_term + 8u, fetch_left, p.left_width);
  var w = right4(rows.first + min(right_term, terms - 1u), fetch_column, p.right_width);
  for (var panel = 0u; panel < panels; panel++) {
    left_tile[t] = a; // left_term · 32 + t mod 32
    left_tile[t + 256u] = b;
    right_tile[t] = w; // right_term · 16 + t mod 16
    workgroupBarrier();
    if (panel + 1u < panels) {
      let next = 16u * (panel + 1u);
      a = fetch_term(next + left_term, fetch_left, p.left_width);
      b = fetch_term(next + left_term + 8u, fetch_left, p.left_width);
      w = right4(rows.first + min(next + right_term, terms - 1u), fetch_column, p.right_width);
    }
    add_tiles(&sums, t);
    workgroupBarrier();
  }
  store_sums(sums, tile_row + 8u * (t / 16u), p.left_width, column4, p);
}
