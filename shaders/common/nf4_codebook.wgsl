// nf4_codebook.wgsl (prelude): the 16 values of NormalFloat-4 and the decoding of bitsandbytes' block scales.
// The same numbers as src/base/nf4.ts. It binds nothing.
// Source: Dettmers et al. 2023, arXiv:2305.14314, appendix E; bitsandbytes 0.50 functional.py.

const NF4_CODES = array<f32, 16>(
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
  -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
);

// How a code becomes its value. A GPU's compiler lays a table that is indexed at run time out in each invocation's memory
// and reads it from there; a tree of choices stays in registers. A software adapter reads the table quicker.
override TABLE: bool = true;

fn nf4_either(even: f32, odd: f32, is_odd: vec4<bool>) -> vec4<f32> {
  return select(vec4<f32>(even), vec4<f32>(odd), is_odd);
}

// The values of four codes, each 0 … 15.
fn nf4_values(code: vec4<u32>) -> vec4<f32> {
  if (TABLE) {
    return vec4<f32>(NF4_CODES[code.x], NF4_CODES[code.y], NF4_CODES[code.z], NF4_CODES[code.w]);
  }
  let bit0 = (code & vec4<u32>(1u)) != vec4<u32>();
  let bit1 = (code & vec4<u32>(2u)) != vec4<u32>();
  let bit2 = (code & vec4<u32>(4u)) != vec4<u32>();
  let bit3 = (code & vec4<u32>(8u)) != vec4<u32>();
  let low = select(
    select(
      nf4_either(NF4_CODES[0], NF4_CODES[1], bit0),
      nf4_either(NF4_CODES[2], NF4_CODES[3], bit0),
      bit1,
    ),
    select(
      nf4_either(NF4_CODES[4], NF4_CODES[5], bit0),
      nf4_either(NF4_CODES[6], NF4_CODES[7], bit0),
      bit1,
    ),
    bit2,
  );
  let high = select(
    select(
      nf4_either(NF4_CODES[8], NF4_CODES[9], bit0),
      nf4_either(NF4_CODES[10], NF4_CODES[11], bit0),
      bit1,
    ),
    select(
      nf4_either(NF4_CODES[12], NF4_CODES[13], bit0),
      nf4_either(NF4_CODES[14], NF4_CODES[15], bit0),
      bit1,
    ),
    bit2,
  );
  return select(low, high, bit3);
}
