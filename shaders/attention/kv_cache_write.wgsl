// kv_cache_write: puts the keys and values of new tokens into their rows of the cache.
//   key_cache[slots[n], c] = k[n, c];   value_cache[slots[n], c] = v[n, c]
// Shapes   k, v (N, Hkv·K), slots (N) u32, key_cache and value_cache (S, Hkv·K); f32, row-major.
// Grid     one invocation per element of the slice's rows of k.
// Effect   WRITES the named rows of both caches. A slot at or beyond S is skipped; slots must be distinct.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override width: u32; // Hkv·K
override cache_rows: u32; // S

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> k: array<f32>; // (N, Hkv·K)
@group(0) @binding(2) var<storage, read> v: array<f32>; // (N, Hkv·K)
@group(0) @binding(3) var<storage, read> slots: array<u32>; // (N)
@group(0) @binding(4) var<storage, read_write> key_cache: array<f32>; // (S, Hkv·K)
@group(0) @binding(5) var<storage, read_write> value_cache: array<f32>; // (S, Hkv·K)

@compute @workgroup_size(64)
fn kv_cache_write(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = rows.first * width + (workgroup.x + workgroup.y * workgroups.x) * 64u + lane;
  if (i >= rows.end * width) {
    return;
  }
  let slot = slots[i / width];
  if (slot < cache_rows) {
    let at = slot * width + i % width;
    key_cache[at] = k[i];
    value_cache[at] = v[i];
  }
}
