// linear_backward_input_subgroup: dX = dY·W, one subgroup a tile.
//   out[n, c] (+)= α Σ_o left[n, o] · right[o, c]
// Shapes   left dY (N, O), right W (O, C), out dX (N, C); f32 (W also f16 or NF4), row-major.
// Grid     (⌈C/16⌉, ⌈rows/(ROWS_PER_LANE·LANES)⌉) workgroups of one subgroup; a lane owns ROWS_PER_LANE rows × 16 columns.
// Effect   writes, or ADDS with `accumulate`; rows [rows.first, rows.end) only. Terms are added in order, four a turn.
// Uses     subgroups of exactly LANES lanes: the weight is read, and decoded, once for all rows of the tile. Any size.
// Preludes enable_subgroups, product, left_*, left_transposed, right_*, out_*, lanes_*, tile_*,
//          panel, panel_terms or panel_terms_nf4.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

@compute @workgroup_size(LANES)
fn linear_backward_input_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let p = product;
  let first = rows.first + ROWS_PER_LANE * (LANES * group.y + lane);
  let last = rows.end - 1u;
  let column4 = 4u * group.x;
  var sums0 = Sums();
  var sums1 = Sums();
  var sums2 = Sums();
  var sums3 = Sums();
  for (var k = 0u; k < (p.left_width + 3u) / 4u; k++) {
    let panel = load_terms(4u * k, p.left_width - 1u, lane, column4, p.right_width);
    let a = load_rows(first, last, k, p.left_width);
    add_panel(&sums0, &sums1, &sums2, &sums3, a, panel);
  }
  store_columns(sums0, sums1, sums2, sums3, first, rows.end, column4, p);
}
