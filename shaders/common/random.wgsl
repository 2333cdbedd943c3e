// random.wgsl (prelude): Threefry-2x32-20, the same bits as src/base/random.ts.
// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".

fn rotate_left(x: u32, bits: u32) -> u32 {
  return (x << bits) | (x >> (32u - bits));
}

fn threefry_four_rounds(x_in: vec2<u32>, r0: u32, r1: u32, r2: u32, r3: u32) -> vec2<u32> {
  var x = x_in;
  x.x += x.y; x.y = rotate_left(x.y, r0) ^ x.x;
  x.x += x.y; x.y = rotate_left(x.y, r1) ^ x.x;
  x.x += x.y; x.y = rotate_left(x.y, r2) ^ x.x;
  x.x += x.y; x.y = rotate_left(x.y, r3) ^ x.x;
  return x;
}

// Two random words from a key (seed, stream) and a counter.
fn threefry2x32(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
  let k2 = key.x ^ key.y ^ 0x1bd11bdau;
  var x = counter + key;
  x = threefry_four_rounds(x, 13u, 15u, 26u, 6u) + vec2<u32>(key.y, k2 + 1u);
  x = threefry_four_rounds(x, 17u, 29u, 16u, 24u) + vec2<u32>(k2, key.x + 2u);
  x = threefry_four_rounds(x, 13u, 15u, 26u, 6u) + vec2<u32>(key.x, key.y + 3u);
  x = threefry_four_rounds(x, 17u, 29u, 16u, 24u) + vec2<u32>(key.y, k2 + 4u);
  x = threefry_four_rounds(x, 13u, 15u, 26u, 6u) + vec2<u32>(k2, key.x + 5u);
  return x;
}

// 24 high bits as a float in [0, 1), exact in f32.
fn unit_float(word: u32) -> f32 {
  return f32(word >> 8u) * 0x1p-24;
}
