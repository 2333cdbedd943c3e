// panel_terms_nf4.wgsl (prelude, after panel and nf4_weight): panel_terms for an NF4 weight with C % 16 == 0 on four lanes: a
// lane's 16 columns are two whole words of one block, so words and scale are read once.

// Lane l of vector i holds columns 4·(column4 + i) … + 3 of term first + l; zero past term `most`.
fn load_terms(first: u32, most: u32, lane: u32, column4: u32, width: u32) -> Panel {
  let term = first + lane;
  let at = (min(term, most) * width + 4u * column4) / 8u;
  let scale = select(0.0, nf4_scale(at / 8u), term <= most);
  let low = right[at];
  let high = right[at + 1u];
  return Panel(
    scale * nf4_codes(low),
    scale * nf4_codes(low >> 16u),
    scale * nf4_codes(high),
    scale * nf4_codes(high >> 16u),
  );
}

// A lane holds columns of one term, as add_product takes them.
fn oriented(m: mat4x4<f32>) -> mat4x4<f32> {
  return m;
}
