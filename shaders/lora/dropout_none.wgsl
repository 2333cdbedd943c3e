// dropout_none.wgsl (prelude): no dropout. It gives the operand preludes of shaders/linear the names they ask for.

const MASKED_NOTHING = 0u;
const MASKED_LEFT = 1u;
const MASKED_RIGHT = 2u;
const MASKED_OUT = 3u;
const MASKED = MASKED_NOTHING;

fn dropped4(v: vec4<f32>, element: u32) -> vec4<f32> {
  return v;
}
