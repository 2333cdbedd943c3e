// safe_tanh: the hyperbolic tangent for activations and soft caps, good to a few units of 1e-6 relative. A prelude.

// tanh without overflow, and good near 0 where 1 − e would cancel: WGSL's own may overflow for large arguments.
fn safe_tanh(u: f32) -> f32 {
  let e = exp(-2.0 * abs(u));
  let far = (1.0 - e) / (1.0 + e);
  let square = u * u;
  let near = abs(u) * (1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0)));
  return sign(u) * select(far, near, abs(u) < 0.05);
}
