// tile_four_rows.wgsl (prelude, after left_*, left_transposed and out_*): 4 rows of the result that one invocation owns, four columns of each in a Sums.
// Members instead of an array: an array that is indexed in the inner loop does not stay in registers.

const ROWS_PER_LANE = 4u;

// Four terms of each row.
struct Terms {
  a0: vec4<f32>,
  a1: vec4<f32>,
  a2: vec4<f32>,
  a3: vec4<f32>,
}

// Four columns of each row.
struct Sums {
  s0: vec4<f32>,
  s1: vec4<f32>,
  s2: vec4<f32>,
  s3: vec4<f32>,
}

// Terms 4·k4 … + 3 of rows first … first + 3 of the left operand, none past `last`.
fn load_rows(first: u32, last: u32, k4: u32, width: u32) -> Terms {
  return Terms(
    left4(min(first + 0u, last), k4, width),
    left4(min(first + 1u, last), k4, width),
    left4(min(first + 2u, last), k4, width),
    left4(min(first + 3u, last), k4, width),
  );
}

// The same of its transpose: row i of the result is column 4·first4 + i of the left operand, terms are its rows n … n + 3,
// none past `last`.
fn load_columns_as_rows(first4: u32, n: u32, last: u32, width: u32) -> Terms {
  let most4 = (width - 1u) / 4u;
  let m0 = left_transposed(n, last, min(first4, most4), width);
  return Terms(
    m0[0], m0[1], m0[2], m0[3],
  );
}

// sums += b · terms, for each row: b's columns are the four terms of four columns of the result.
fn add_product(sums: ptr<function, Sums>, a: Terms, b: mat4x4<f32>) {
  (*sums).s0 += b * a.a0;
  (*sums).s1 += b * a.a1;
  (*sums).s2 += b * a.a2;
  (*sums).s3 += b * a.a3;
}

// Rows first … first + 3, none from `end` on. A loop: 4 copies of the store take longer to compile than all the rest.
fn store_sums(sums: Sums, first: u32, end: u32, column4: u32, p: Product) {
  let all = array<vec4<f32>, 4>(
    sums.s0, sums.s1, sums.s2, sums.s3,
  );
  for (var i = 0u; i < 4u; i++) {
    if (first + i < end) {
      out4(first + i, column4, all[i], p);
    }
  }
}
