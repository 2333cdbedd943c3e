// tile_value_products.wgsl (prelude): as tile_scores.wgsl, for the gradient of the output and the values. The
// kernel declares d_y, v and quarter (vec4 in a head).

// Column i: d_y rows a.x … a.w, each times v row b[i]. a and b are the rows' places in vec4.
fn gradient_value_products(a: vec4<u32>, b: vec4<u32>) -> mat4x4<f32> {
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var c = 0u; c < quarter; c++) {
    let a0 = d_y[a.x + c];
    let a1 = d_y[a.y + c];
    let a2 = d_y[a.z + c];
    let a3 = d_y[a.w + c];
    let b0 = v[b.x + c];
    let b1 = v[b.y + c];
    let b2 = v[b.z + c];
    let b3 = v[b.w + c];
    s0 += vec4<f32>(dot(a0, b0), dot(a1, b0), dot(a2, b0), dot(a3, b0));
    s1 += vec4<f32>(dot(a0, b1), dot(a1, b1), dot(a2, b1), dot(a3, b1));
    s2 += vec4<f32>(dot(a0, b2), dot(a1, b2), dot(a2, b2), dot(a3, b2));
    s3 += vec4<f32>(dot(a0, b3), dot(a1, b3), dot(a2, b3), dot(a3, b3));
  }
  return mat4x4<f32>(s0, s1, s2, s3);
}
