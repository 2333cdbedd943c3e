// linear_backward_weight_register: dW += dYᵀ·x straight from storage.
//   out[o, c] (+)= α Σ_n left[n, o] · right[n, c]
// Shapes   left dY (N, O), right x (N, C), out dW (O, C); f32, row-major.
// Grid     (⌈columns/64⌉, ⌈rows of out/32⌉) workgroups of 8×8 invocations; one invocation owns 4 rows × 8 columns of the result.
// Effect   ADDS (with `accumulate`) the sum over rows [rows.first, rows.end); they are added in order, four a turn.
// Uses     registers only: no subgroups, no workgroup memory. Any size.
// Preludes product, left_*, left_transposed, right_*, right_patches, out_*, tile_four_rows.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

@compute @workgroup_size(8, 8)
fn linear_backward_weight_register(@builtin(global_invocation_id) id: vec3<u32>) {
  let p = product;
  let most4 = (p.right_width - 1u) / 4u;
  let first = ROWS_PER_LANE * id.y; // row of dW
  let column4 = 2u * id.x; // column / 4
  if (first >= p.left_width || column4 > most4) {
    return;
  }
  let last = rows.end - 1u;
  let other4 = min(column4 + 1u, most4);
  var sums0 = Sums();
  var sums1 = Sums();
  for (var n = rows.first; n <= last; n += 4u) {
    let a = load_columns_as_rows(id.y, n, last, p.left_width);
    add_product(&sums0, a, right_terms(n, last, column4, p.right_width));
    add_product(&sums1, a, right_terms(n, last, other4, p.right_width));
  }
  store_sums(sums0, first, p.left_width, column4, p);
  store_sums(sums1, first, p.left_width, column4 + 1u, p);
}
