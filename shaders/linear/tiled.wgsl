// tiled.wgsl (prelude, after left_*, left_transposed, out_* and tile_eight_rows): panels of 16 terms in workgroup memory,
// 128 rows and 64 columns of the result, multiplied by 256 invocations of 8 rows × 4 columns each. Both panels lie so that
// they are read as vec4 along the result, whatever way they were fetched. 12 KiB.

var<workgroup> left_tile: array<vec4<f32>, 512>; // (16 terms, 32 row quads)
var<workgroup> right_tile: array<vec4<f32>, 256>; // (16 terms, 16 column quads)

// What invocation t < 128 fetches of a panel of rows: four terms of four rows, on their side; zero past the last term.
fn fetch_rows(t: u32, tile_row: u32, last: u32, panel: u32, width: u32) -> mat4x4<f32> {
  let quads = (width + 3u) / 4u;
  let k4 = 4u * panel + t % 4u;
  let inside = select(0.0, 1.0, k4 < quads);
  return inside * left_transposed(tile_row + 4u * (t / 4u), last, min(k4, quads - 1u), width);
}

fn put_rows(t: u32, piece: mat4x4<f32>) {
  let at = 128u * (t % 4u) + t / 4u; // term · 32 + quad
  left_tile[at] = piece[0];
  left_tile[at + 32u] = piece[1];
  left_tile[at + 64u] = piece[2];
  left_tile[at + 96u] = piece[3];
}

// Adds the 16 terms in workgroup memory to the sums of invocation t.
fn add_tiles(sums: ptr<function, Sums>, t: u32) {
  let quad = 2u * (t / 16u); // the invocation's first row quad inside the tile
  for (var k = 0u; k < 16u; k++) {
    let w4 = right_tile[k * 16u + t % 16u];
    let low = left_tile[k * 32u + quad];
    let high = left_tile[k * 32u + quad + 1u];
    (*sums).s0 += low.x * w4;
    (*sums).s1 += low.y * w4;
    (*sums).s2 += low.z * w4;
    (*sums).s3 += low.w * w4;
    (*sums).s4 += high.x * w4;
    (*sums).s5 += high.y * w4;
    (*sums).s6 += high.z * w4;
    (*sums).s7 += high.w * w4;
  }
}
