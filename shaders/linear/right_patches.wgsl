// right_patches.wgsl (prelude, after right_*): 4×4 patches of the right operand, as add_product (tile_*) takes them: the
// columns of the matrix are terms, its rows four columns of the result.

// A weight's rows as columns of the result: terms 4·k4 … + 3 of columns first … first + 3, none past `last`.
fn right_columns(first: u32, last: u32, k4: u32, width: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(
    right4(min(first, last), k4, width),
    right4(min(first + 1u, last), k4, width),
    right4(min(first + 2u, last), k4, width),
    right4(min(first + 3u, last), k4, width),
  ));
}

// A matrix's columns as columns of the result: terms first … first + 3 of columns 4·column4 … + 3; zero past term `last`.
fn right_terms(first: u32, last: u32, column4: u32, width: u32) -> mat4x4<f32> {
  let zero = vec4<f32>();
  return mat4x4<f32>(
    right4(min(first, last), column4, width),
    select(zero, right4(min(first + 1u, last), column4, width), first + 1u <= last),
    select(zero, right4(min(first + 2u, last), column4, width), first + 2u <= last),
    select(zero, right4(min(first + 3u, last), column4, width), first + 3u <= last),
  );
}
