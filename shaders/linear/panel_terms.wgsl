// panel_terms.wgsl (prelude, after panel and right_*): a panel of a matrix's columns, for dX = dY·W and dW = dYᵀ·x.

// A matrix's columns as columns of the result: lane l of vector i holds columns 4·(column4 + (LANES/4)·i + ⌊l/4⌋) … + 3 of
// term first + l mod 4; zero past term `most`.
fn load_terms(first: u32, most: u32, lane: u32, column4: u32, width: u32) -> Panel {
  let term = first + (lane & 3u);
  let row = min(term, most);
  let inside = select(0.0, 1.0, term <= most);
  let own = column4 + (lane >> 2u);
  let most4 = (width - 1u) / 4u;
  return Panel(
    inside * right4(row, min(own, most4), width),
    inside * right4(row, min(own + LANES / 4u, most4), width),
    inside * right4(row, min(own + 2u * (LANES / 4u), most4), width),
    inside * right4(row, min(own + 3u * (LANES / 4u), most4), width),
  );
}

// A lane holds columns of one term, as add_product takes them.
fn oriented(m: mat4x4<f32>) -> mat4x4<f32> {
  return m;
}
