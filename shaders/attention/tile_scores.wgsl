// tile_scores.wgsl (prelude): the products of four queries and four keys, each element read once. The kernel
// declares q, k and quarter (vec4 in a head).

// Column i: q rows a.x … a.w, each times k row b[i]. a and b are the rows' places in vec4.
fn query_key_products(a: vec4<u32>, b: vec4<u32>) -> mat4x4<f32> {
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var c = 0u; c < quarter; c++) {
    let a0 = q[a.x + c];
    let a1 = q[a.y + c];
    let a2 = q[a.z + c];
    let a3 = q[a.w + c];
    let b0 = k[b.x + c];
    let b1 = k[b.y + c];
    let b2 = k[b.z + c];
    let b3 = k[b.w + c];
    s0 += vec4<f32>(dot(a0, b0), dot(a1, b0), dot(a2, b0), dot(a3, b0));
    s1 += vec4<f32>(dot(a0, b1), dot(a1, b1), dot(a2, b1), dot(a3, b1));
    s2 += vec4<f32>(dot(a0, b2), dot(a1, b2), dot(a2, b2), dot(a3, b2));
    s3 += vec4<f32>(dot(a0, b3), dot(a1, b3), dot(a2, b3), dot(a3, b3));
  }
  return mat4x4<f32>(s0, s1, s2, s3);
}
