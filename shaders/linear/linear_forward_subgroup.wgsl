// linear_forward_subgroup: y = x·Wᵀ, one subgroup a tile.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     (⌈O/16⌉, ⌈rows/(ROWS_PER_LANE·LANES)⌉) workgroups of one subgroup; a lane owns ROWS_PER_LANE rows × 16 columns.
// Effect   writes, or ADDS with `accumulate`; rows [rows.first, rows.end) only. Terms are added in order, four a turn.
// Uses     subgroups of exactly LANES lanes: the weight is read, and decoded, once for all rows of the tile. Any size.
// Preludes enable_subgroups, product, left_*, left_transposed, right_*, out_*, lanes_*, tile_*,
//          panel, panel_columns.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

@compute @workgroup_size(LANES)
fn linear_forward_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let p = product;
  let most = p.out_width - 1u;
  let first = rows.first + ROWS_PER_LANE * (LANES * group.y + lane);
  let last = rows.end - 1u;
  var sums0 = Sums();
  var sums1 = Sums();
  var sums2 = Sums();
  var sums3 = Sums();
  for (var k = 0u; k < (p.left_width + 3u) / 4u; k++) {
    let panel = load_columns(16u * group.x, most, lane, k, p.right_width);
    let a = load_rows(first, last, k, p.left_width);
    add_panel(&sums0, &sums1, &sums2, &sums3, a, panel);
  }
  store_columns(sums0, sums1, sums2, sums3, first, rows.end, 4u * group.x, p);
}
