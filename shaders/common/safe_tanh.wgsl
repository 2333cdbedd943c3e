// safe_tanh.wgsl (prelude): the hyperbolic tangent of soft caps and of GELU.

// To about one unit in the last place of f32, at any argument. The built-in one may overflow beyond 88 and lose all digits
// near 0: WGSL grants it no more than sinh/cosh.
fn tanh4(x: vec4<f32>) -> vec4<f32> {
  // Below 0.625 an odd polynomial: minimax for tanh(x)/x in x², relative error 4e-9. Above, one exponential.
  let z = x * x;
  let p = (((-0.005704975686967373 * z + 0.020639074966311455) * z - 0.05373971164226532) * z + 0.13331441581249237) * z - 0.3333328068256378;
  let size = min(abs(x), vec4<f32>(10.0)); // tanh(10) is 1 in f32
  let large = 1.0 - 2.0 / (exp(2.0 * size) + 1.0);
  return select(x + x * z * p, sign(x) * large, size >= vec4<f32>(0.625));
}

fn safe_tanh(x: f32) -> f32 {
  return tanh4(vec4<f32>(x)).x;
}
