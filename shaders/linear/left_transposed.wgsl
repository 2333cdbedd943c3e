// left_transposed.wgsl (prelude, after left_*): a 4×4 patch of the left operand on its side.

// Column j of the matrix is column 4·column4 + j of rows first … first + 3, none past `last`.
fn left_transposed(first: u32, last: u32, column4: u32, width: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(
    left4(min(first, last), column4, width),
    left4(min(first + 1u, last), column4, width),
    left4(min(first + 2u, last), column4, width),
    left4(min(first + 3u, last), column4, width),
  ));
}
