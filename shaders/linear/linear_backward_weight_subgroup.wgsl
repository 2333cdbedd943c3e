// linear_backward_weight_subgroup: dW += dYᵀ·x, one subgroup a tile.
//   out[o, c] (+)= α Σ_n left[n, o] · right[n, c]
// Shapes   left dY (N, O), right x (N, C), out dW (O, C); f32, row-major.
// Grid     (⌈C/16⌉, ⌈O/(ROWS_PER_LANE·LANES)⌉) workgroups of one subgroup; a lane owns ROWS_PER_LANE rows × 16 columns.
// Effect   ADDS (with `accumulate`) the sum over rows [rows.first, rows.end); they are added in order, four a turn.
// Uses     subgroups of exactly LANES lanes: x is read once for all rows of the tile. Any size.
// Preludes enable_subgroups, product, left_*, left_transposed, right_*, out_*, lanes_*, tile_*,
//          panel, panel_terms.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

@compute @workgroup_size(LANES)
fn linear_backward_weight_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let p = product;
  let first = ROWS_PER_LANE * (LANES * group.y + lane); // row of dW
  let last = rows.end - 1u;
  let column4 = 4u * group.x;
  var sums0 = Sums();
  var sums1 = Sums();
  var sums2 = Sums();
  var sums3 = Sums();
  for (var n = rows.first; n <= last; n += 4u) {
    let panel = load_terms(n, last, lane, column4, p.right_width);
    let a = load_columns_as_rows(first / 4u, n, last, p.left_width);
    add_panel(&sums0, &sums1, &sums2, &sums3, a, panel);
  }
  store_columns(sums0, sums1, sums2, sums3, first, p.left_width, column4, p);
}
