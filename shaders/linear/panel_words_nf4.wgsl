// panel_words_nf4.wgsl (prelude, after panel and nf4_weight): panels of an NF4 weight's rows with C % 8 == 0 on four lanes: eight
// terms of a row are one word of one block, so word and scale are read once for two panels.

struct Words {
  word: vec4<u32>,
  scale: vec4<f32>,
}

// Lane l holds in component i terms 8·k8 … + 7 of column first + 4·i + l.
fn load_words(first: u32, most: u32, lane: u32, k8: u32, width: u32) -> Words {
  let own = vec4<u32>(0u, 4u, 8u, 12u) + vec4<u32>(first + lane);
  let at = min(own, vec4<u32>(most)) * (width / 8u) + vec4<u32>(k8);
  let block = at / vec4<u32>(8u);
  return Words(
    vec4<u32>(right[at.x], right[at.y], right[at.z], right[at.w]),
    vec4<f32>(nf4_scale(block.x), nf4_scale(block.y), nf4_scale(block.z), nf4_scale(block.w)),
  );
}

// The panel of the first four terms (shift 0) or the second (shift 16).
fn decode_words(w: Words, shift: u32) -> Panel {
  let half = w.word >> vec4<u32>(shift);
  return Panel(
    w.scale.x * nf4_codes(half.x),
    w.scale.y * nf4_codes(half.y),
    w.scale.z * nf4_codes(half.z),
    w.scale.w * nf4_codes(half.w),
  );
}

// A lane holds terms of one column of the result: they are the rows of what add_product takes.
fn oriented(m: mat4x4<f32>) -> mat4x4<f32> {
  return transpose(m);
}
