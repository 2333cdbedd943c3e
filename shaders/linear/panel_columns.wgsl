// panel_columns.wgsl (prelude, after panel and right_*): a panel of a weight's rows, for y = x·Wᵀ.

// A weight's rows as columns of the result: lane l of vector i holds terms 4·k4 … + 3 of column first + LANES·i + l.
fn load_columns(first: u32, most: u32, lane: u32, k4: u32, width: u32) -> Panel {
  let own = first + lane;
  return Panel(
    right4(min(own, most), k4, width),
    right4(min(own + LANES, most), k4, width),
    right4(min(own + 2u * LANES, most), k4, width),
    right4(min(own + 3u * LANES, most), k4, width),
  );
}

// A lane holds terms of one column of the result: they are the rows of what add_product takes.
fn oriented(m: mat4x4<f32>) -> mat4x4<f32> {
  return transpose(m);
}
