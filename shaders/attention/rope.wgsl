// rope: rotary position embedding of queries or keys, in place, in the rotate-half convention of Hugging Face's Llama.
//   with i < K/2, a = x[n, h, i], b = x[n, h, i + K/2], (c, s) = (cos, sin)[positions[n], i]:
//   x[n, h, i] = a·c − b·s;   x[n, h, i + K/2] = b·c + a·s
// The inverse (direction = −1) is the transpose, which is the backward.
// Paper    Su et al. 2021, arXiv:2104.09864, §3.4.2.
// Shapes   x (N, H·K), positions (N) u32, cos and sin (P, K/2) made on the CPU; f32, row-major.
// Grid     one invocation per rotated pair of the slice's rows.
// Effect   UPDATES x in place. A position must be below P; it is not checked.
// Pairs    kernels/rope.ts · reference/rope.ts · test/kernels/rope.test.ts

override heads: u32; // H
override half_size: u32; // K/2
override direction: f32 = 1.0;

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read_write> x: array<f32>; // (N, H·K)
@group(0) @binding(2) var<storage, read> positions: array<u32>; // (N)
@group(0) @binding(3) var<storage, read> cos_table: array<f32>; // (P, K/2)
@group(0) @binding(4) var<storage, read> sin_table: array<f32>; // (P, K/2)

@compute @workgroup_size(64)
fn rope(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let pairs = heads * half_size; // in one row
  let pair = rows.first * pairs + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (pair >= rows.end * pairs) {
    return;
  }
  let n = pair / pairs;
  let i = pair % half_size;
  let at = (pair / half_size) * 2u * half_size + i;
  let angle = positions[n] * half_size + i;
  let c = cos_table[angle];
  let s = direction * sin_table[angle];
  let a = x[at];
  let b = x[at + half_size];
  x[at] = a * c - b * s;
  x[at + half_size] = b * c + a * s;
}
