// panel.wgsl (prelude, after lanes_* and tile_*): a panel of the right operand, 16 columns of the result by four terms, spread over a
// subgroup of four or eight lanes and handed round: each lane reads (and, for NF4, decodes) its own share only. Four lanes
// fill four vectors, eight lanes two; the other two are then never read. What fills it (panel_columns,
// panel_words_nf4, panel_terms, panel_terms_nf4) also says, as `oriented`, which way round its matrices lie.

struct Panel {
  v0: vec4<f32>,
  v1: vec4<f32>,
  v2: vec4<f32>,
  v3: vec4<f32>,
}

// What the first four lanes of a vector hold, and the second four.
fn low_lanes(v: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    subgroupBroadcast(v, 0u),
    subgroupBroadcast(v, 1u),
    subgroupBroadcast(v, 2u),
    subgroupBroadcast(v, 3u),
  );
}
fn high_lanes(v: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(
    subgroupBroadcast(v, 4u % LANES),
    subgroupBroadcast(v, 5u % LANES),
    subgroupBroadcast(v, 6u % LANES),
    subgroupBroadcast(v, 7u % LANES),
  );
}

// Quad q of the panel's columns: column j of the matrix is what a loader put into the q-th four lanes.
fn quad0(p: Panel) -> mat4x4<f32> {
  return low_lanes(p.v0);
}
fn quad1(p: Panel) -> mat4x4<f32> {
  if (LANES == 8u) {
    return high_lanes(p.v0);
  }
  return low_lanes(p.v1);
}
fn quad2(p: Panel) -> mat4x4<f32> {
  if (LANES == 8u) {
    return low_lanes(p.v1);
  }
  return low_lanes(p.v2);
}
fn quad3(p: Panel) -> mat4x4<f32> {
  if (LANES == 8u) {
    return high_lanes(p.v1);
  }
  return low_lanes(p.v3);
}

// Adds four terms to all 16 columns of the result.
fn add_panel(
  sums0: ptr<function, Sums>,
  sums1: ptr<function, Sums>,
  sums2: ptr<function, Sums>,
  sums3: ptr<function, Sums>,
  a: Terms,
  panel: Panel,
) {
  add_product(sums0, a, oriented(quad0(panel)));
  add_product(sums1, a, oriented(quad1(panel)));
  add_product(sums2, a, oriented(quad2(panel)));
  add_product(sums3, a, oriented(quad3(panel)));
}

// Writes a lane's rows first …, none from `end` on, and 16 columns.
fn store_columns(
  sums0: Sums,
  sums1: Sums,
  sums2: Sums,
  sums3: Sums,
  first: u32,
  end: u32,
  column4: u32,
  p: Product,
) {
  let all = array<Sums, 4>(sums0, sums1, sums2, sums3);
  for (var q = 0u; q < 4u; q++) {
    store_sums(all[q], first, end, column4 + q, p);
  }
}
