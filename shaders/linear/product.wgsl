// product.wgsl (prelude, first after enables): sizes of a product and what becomes of its result, as data: one pipeline
// serves every layer and rank (docs/decisions/0004-sizes-of-products-as-data.md). A kernel reads it once, before its
// loop: a software adapter reads a uniform again wherever it is named.

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;

struct Product {
  left_width: u32, // columns of the left operand
  right_width: u32, // columns of the right operand
  out_width: u32, // columns of the result
  accumulate: u32, // 0: out = α·value; 1: out += α·value
  alpha: f32,
}
@group(0) @binding(4) var<uniform> product: Product;
