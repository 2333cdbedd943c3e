// linear_forward_subgroup_few_rows: y = x·Wᵀ for a handful of rows (decoding), one subgroup a tile.
//   out[n, o] (+)= α Σ_c left[n, c] · right[o, c]
// Shapes   left x (N, C), right W (O, C), out y (N, O); f32 (W also f16 or NF4), row-major.
// Grid     (⌈O/(8·LANES)⌉, ⌈rows/8⌉) workgroups of one subgroup; a lane owns 8 rows × 8 columns: of its own columns it reads the
//          weight, the rows are handed round.
// Effect   writes, or ADDS with `accumulate`; rows [rows.first, rows.end) only. Terms are added in order, four a turn.
// Uses     subgroups of exactly LANES lanes. Any size.
// Preludes enable_subgroups, product, left_*, left_transposed, right_*, out_*, lanes_*, tile_eight_rows.
// Pairs    kernels/linear.ts · reference/linear.ts · test/kernels/linear.test.ts

// Four terms of rows first … first + 7, each lane reading one row (of four lanes: two).
fn share_rows(first: u32, last: u32, lane: u32, k4: u32, width: u32) -> Terms {
  let low = left4(min(first + lane, last), k4, width);
  var high = low;
  if (LANES == 4u) {
    high = left4(min(first + 4u + lane, last), k4, width);
  }
  return Terms(
    subgroupBroadcast(low, 0u),
    subgroupBroadcast(low, 1u),
    subgroupBroadcast(low, 2u),
    subgroupBroadcast(low, 3u),
    subgroupBroadcast(high, 4u % LANES),
    subgroupBroadcast(high, 5u % LANES),
    subgroupBroadcast(high, 6u % LANES),
    subgroupBroadcast(high, 7u % LANES),
  );
}

// Four terms of columns o … o + 3, none past `most`: row j of the matrix is column o + j.
fn own_columns(o: u32, most: u32, k4: u32, width: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(
    right4(min(o, most), k4, width),
    right4(min(o + 1u, most), k4, width),
    right4(min(o + 2u, most), k4, width),
    right4(min(o + 3u, most), k4, width),
  ));
}

@compute @workgroup_size(LANES)
fn linear_forward_subgroup_few_rows(@builtin(workgroup_id) group: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
  let p = product;
  let most = p.out_width - 1u;
  let first = rows.first + ROWS_PER_LANE * group.y;
  let last = rows.end - 1u;
  let column4 = 2u * LANES * group.x + lane;
  let other4 = column4 + LANES;
  var sums0 = Sums();
  var sums1 = Sums();
  for (var k = 0u; k < (p.left_width + 3u) / 4u; k++) {
    let a = share_rows(first, last, lane, k, p.left_width);
    add_product(&sums0, a, own_columns(4u * column4, most, k, p.right_width));
    add_product(&sums1, a, own_columns(4u * other4, most, k, p.right_width));
  }
  var sums = array<Sums, 2>(sums0, sums1);
  for (var q = 0u; q < 2u; q++) {
    store_sums(sums[q], first, rows.end, column4 + q * LANES, p);
  }
}
