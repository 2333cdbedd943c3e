// score_rules.wgsl (prelude): what a product q·k becomes before the softmax, and which keys a query sees. The kernel
// declares head_size (K) and has safe_tanh.wgsl in front as well. Left as they stand the constants change nothing: every branch on them is folded away.
//   s = q·k · scale, or softcap · tanh(q·k · scale / softcap);   query n sees key j where n − window < j ≤ n
// Paper    window: Beltagy et al. 2020, arXiv:2004.05150, §3.1, counted as Hugging Face's sliding_window (the token itself and
//          window − 1 before it); softcap: Gemma Team 2024, arXiv:2408.00118, §2.

override scale: f32 = 0.0; // 0: 1/√K
override softcap: f32 = 0.0; // 0: none
override window: u32 = 0xffffffffu; // keys that a query sees, itself included

fn score_scale() -> f32 {
  if (scale == 0.0) {
    return 1.0 / sqrt(f32(head_size));
  }
  return scale;
}

fn scores4(products: vec4<f32>, factor: f32) -> vec4<f32> {
  let scaled = products * factor;
  if (softcap > 0.0) {
    return softcap * tanh4(scaled / softcap);
  }
  return scaled;
}

fn score_of(product: f32, factor: f32) -> f32 {
  if (softcap > 0.0) {
    return scores4(vec4<f32>(product), factor).x;
  }
  return product * factor;
}

// ds/d(q·k) of scores: the factor, times 1 − (s/softcap)² under a softcap.
fn slopes4(scores: vec4<f32>, factor: f32) -> vec4<f32> {
  if (softcap > 0.0) {
    let t = scores / softcap;
    return factor * (1.0 - t * t);
  }
  return vec4<f32>(factor);
}

fn slope_of(score: f32, factor: f32) -> f32 {
  return slopes4(vec4<f32>(score), factor).x;
}

// Which of four queries of one sequence see a key of it.
fn seen4(key: u32, queries: vec4<u32>) -> vec4<bool> {
  return (vec4<u32>(key) <= queries) & (queries - vec4<u32>(key) < vec4<u32>(window));
}

// First key that query n sees, of a sequence that begins at `start`.
fn first_key(n: u32, start: u32) -> u32 {
  return max(start, n + 1u - min(window, n + 1u));
}

// Behind the last query that sees key j, of a sequence that ends before `end`.
fn queries_end(j: u32, end: u32) -> u32 {
  return j + min(window, end - j);
}
