// linear_nf4_forward_subgroup: y = x·Wᵀ with an NF4 weight, C % 8 == 0, on four lanes: a whole word of codes a turn.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C) NF4, out y (N, O); f32, row-major.
// Grid     (⌈O/16⌉, ⌈rows/(ROWS_PER_LANE·LANES)⌉) workgroups of one subgroup; a lane owns ROWS_PER_LANE rows × 16 columns.
// Effect   writes, or ADDS with `accumulate`; rows [rows.first, rows.end) only. Terms are added in the order of
//          linear_forward_subgroup.
// Uses     subgroups of exactly four lanes: the weight is read and decoded once for all rows of the tile.
// Preludes enable_subgroups, product, left_*, left_transposed, nf4_codebook, nf4_weight, out_*, lanes_four, tile_*,
//          panel, panel_words_nf4.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

@compute @workgroup_size(LANES)
fn linear_nf4_forward_subgroup(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let p = product;
  let most = p.out_width - 1u;
  let first = rows.first + ROWS_PER_LANE * (LANES * group.y + lane);
  let last = rows.end - 1u;
  var sums0 = Sums();
  var sums1 = Sums();
  var sums2 = Sums();
  var sums3 = Sums();
  for (var k = 0u; k < p.left_width / 8u; k++) {
    let words = load_words(16u * group.x, most, lane, k, p.right_width);
    add_panel(&sums0, &sums1, &sums2, &sums3, load_rows(first, last, 2u * k, p.left_width), decode_words(words, 0u));
    add_panel(&sums0, &sums1, &sums2, &sums3, load_rows(first, last, 2u * k + 1u, p.left_width), decode_words(words, 16u));
  }
  store_columns(sums0, sums1, sums2, sums3, first, rows.end, 4u * group.x, p);
}
