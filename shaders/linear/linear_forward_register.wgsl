// linear_forward_register: y = x·Wᵀ straight from storage.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     (⌈columns/64⌉, ⌈rows of out/32⌉) workgroups of 8×8 invocations; one invocation owns 4 rows × 8 columns of the result.
// Effect   writes, or ADDS with `accumulate`; rows [rows.first, rows.end) only. Terms are added in order, four a turn.
// Uses     registers only: no subgroups, no workgroup memory. Any size.
// Preludes product, left_*, left_transposed, right_*, right_patches, out_*, tile_four_rows.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

@compute @workgroup_size(8, 8)
fn linear_forward_register(@builtin(global_invocation_id) id: vec3<u32>) {
  let p = product;
  let most = p.out_width - 1u;
  let first = rows.first + ROWS_PER_LANE * id.y;
  let last = rows.end - 1u;
  let column4 = 2u * id.x; // column / 4
  if (first > last || 4u * column4 > most) {
    return;
  }
  var sums0 = Sums();
  var sums1 = Sums();
  for (var k = 0u; k < (p.left_width + 3u) / 4u; k++) {
    let a = load_rows(first, last, k, p.left_width);
    add_product(&sums0, a, right_columns(4u * column4, most, k, p.right_width));
    add_product(&sums1, a, right_columns(4u * column4 + 4u, most, k, p.right_width));
  }
  store_sums(sums0, first, rows.end, column4, p);
  store_sums(sums1, first, rows.end, column4 + 1u, p);
}
