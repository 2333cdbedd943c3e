// tile_sixteen_rows.wgsl (prelude, after left_*, left_transposed and out_*): 16 rows of the result that one invocation owns, four columns of each in a Sums.
// Members instead of an array: an array that is indexed in the inner loop does not stay in registers.

const ROWS_PER_LANE = 16u;

// Four terms of each row.
struct Terms {
  a0: vec4<f32>,
  a1: vec4<f32>,
  a2: vec4<f32>,
  a3: vec4<f32>,
  a4: vec4<f32>,
  a5: vec4<f32>,
  a6: vec4<f32>,
  a7: vec4<f32>,
  a8: vec4<f32>,
  a9: vec4<f32>,
  a10: vec4<f32>,
  a11: vec4<f32>,
  a12: vec4<f32>,
  a13: vec4<f32>,
  a14: vec4<f32>,
  a15: vec4<f32>,
}

// Four columns of each row.
struct Sums {
  s0: vec4<f32>,
  s1: vec4<f32>,
  s2: vec4<f32>,
  s3: vec4<f32>,
  s4: vec4<f32>,
  s5: vec4<f32>,
  s6: vec4<f32>,
  s7: vec4<f32>,
  s8: vec4<f32>,
  s9: vec4<f32>,
  s10: vec4<f32>,
  s11: vec4<f32>,
  s12: vec4<f32>,
  s13: vec4<f32>,
  s14: vec4<f32>,
  s15: vec4<f32>,
}

// Terms 4·k4 … + 3 of rows first … first + 15 of the left operand, none past `last`.
fn load_rows(first: u32, last: u32, k4: u32, width: u32) -> Terms {
  return Terms(
    left4(min(first + 0u, last), k4, width),
    left4(min(first + 1u, last), k4, width),
    left4(min(first + 2u, last), k4, width),
    left4(min(first + 3u, last), k4, width),
    left4(min(first + 4u, last), k4, width),
    left4(min(first + 5u, last), k4, width),
    left4(min(first + 6u, last), k4, width),
    left4(min(first + 7u, last), k4, width),
    left4(min(first + 8u, last), k4, width),
    left4(min(first + 9u, last), k4, width),
    left4(min(first + 10u, last), k4, width),
    left4(min(first + 11u, last), k4, width),
    left4(min(first + 12u, last), k4, width),
    left4(min(first + 13u, last), k4, width),
    left4(min(first + 14u, last), k4, width),
    left4(min(first + 15u, last), k4, width),
  );
}

// The same of its transpose: row i of the result is column 4·first4 + i of the left operand, terms are its rows n … n + 3,
// none past `last`.
fn load_columns_as_rows(first4: u32, n: u32, last: u32, width: u32) -> Terms {
  let most4 = (width - 1u) / 4u;
  let m0 = left_transposed(n, last, min(first4, most4), width);
  let m1 = left_transposed(n, last, min(first4 + 1u, most4), width);
  let m2 = left_transposed(n, last, min(first4 + 2u, most4), width);
  let m3 = left_transposed(n, last, min(first4 + 3u, most4), width);
  return Terms(
    m0[0], m0[1], m0[2], m0[3],
    m1[0], m1[1], m1[2], m1[3],
    m2[0], m2[1], m2[2], m2[3],
    m3[0], m3[1], m3[2], m3[3],
  );
}

// sums += b · terms, for each row: b's columns are the four terms of four columns of the result.
fn add_product(sums: ptr<function, Sums>, a: Terms, b: mat4x4<f32>) {
  (*sums).s0 += b * a.a0;
  (*sums).s1 += b * a.a1;
  (*sums).s2 += b * a.a2;
  (*sums).s3 += b * a.a3;
  (*sums).s4 += b * a.a4;
  (*sums).s5 += b * a.a5;
  (*sums).s6 += b * a.a6;
  (*sums).s7 += b * a.a7;
  (*sums).s8 += b * a.a8;
  (*sums).s9 += b * a.a9;
  (*sums).s10 += b * a.a10;
  (*sums).s11 += b * a.a11;
  (*sums).s12 += b * a.a12;
  (*sums).s13 += b * a.a13;
  (*sums).s14 += b * a.a14;
  (*sums).s15 += b * a.a15;
}

// Rows first … first + 15, none from `end` on. A loop: 16 copies of the store take longer to compile than all the rest.
fn store_sums(sums: Sums, first: u32, end: u32, column4: u32, p: Product) {
  let all = array<vec4<f32>, 16>(
    sums.s0, sums.s1, sums.s2, sums.s3,
    sums.s4, sums.s5, sums.s6, sums.s7,
    sums.s8, sums.s9, sums.s10, sums.s11,
    sums.s12, sums.s13, sums.s14, sums.s15,
  );
  for (var i = 0u; i < 16u; i++) {
    if (first + i < end) {
      out4(first + i, column4, all[i], p);
    }
  }
}
