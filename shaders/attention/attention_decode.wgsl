// attention_decode: attention of one new token a sequence over its cached keys and values, for any head size.
//   s[j] = score of q[b, h] · key_cache[S + j, g] for the last min(window, lengths[b]) keys j < lengths[b], S = cache_starts[b];
//   y[b, h] = Σ_j softmax(s)[j] · value_cache[S + j, g]
// Paper    Vaswani et al. 2017, arXiv:1706.03762, eq. 1; online softmax: Milakov, Gimelshein 2018, arXiv:1805.02867.
// Shapes   q, y (B, H·K), key_cache, value_cache (S, Hkv·K), lengths and cache_starts (B) u32; f32, row-major.
// Grid     one workgroup per (sequence, query head); lanes over keys, then over the head's elements. Preludes
//          lane_reductions, score_rules.
// Effect   WRITES y; zeros where a length is 0.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override heads: u32; // H
override kv_heads: u32; // Hkv; query head h reads key/value head h / (H / Hkv)
override head_size: u32; // K
override cache_capacity: u32; // rows of the caches that a sequence has

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> q: array<f32>; // (B, H·K)
@group(0) @binding(2) var<storage, read> key_cache: array<f32>; // (S, Hkv·K)
@group(0) @binding(3) var<storage, read> value_cache: array<f32>; // (S, Hkv·K)
@group(0) @binding(4) var<storage, read> lengths: array<u32>; // (B)
@group(0) @binding(5) var<storage, read> cache_starts: array<u32>; // (B)
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // (B, H·K)

var<workgroup> weights: array<f32, lanes>; // exp(s − running maximum) of one tile of keys
var<workgroup> sums: array<f32, head_size>; // Σ weights · v so far

@compute @workgroup_size(lanes)
fn attention_decode(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let task = workgroup.x + workgroup.y * workgroups.x;
  let b = rows.first + task / heads;
  let h = task % heads;
  if (b >= rows.end) {
    return;
  }
  let kv_stride = kv_heads * head_size;
  let kv_at = cache_starts[b] * kv_stride + (h / (heads / kv_heads)) * head_size;
  let q_at = (b * heads + h) * head_size;
  let factor = score_scale();
  let length = min(lengths[b], cache_capacity);
  let begin = length - min(window, length); // the new token is the last key

  for (var c = lane; c < head_size; c += lanes) {
    sums[c] = 0.0;
  }
  var largest = -1.0e30; // a masked score of −3e38 becomes exp(−huge) = 0 against it
  var total = 0.0;
  for (var tile = begin; tile < length; tile += lanes) {
    let j = tile + lane;
    var score = -3.0e38;
    if (j < length) {
      var dot = 0.0;
      for (var c = 0u; c < head_size; c++) {
        dot += q[q_at + c] * key_cache[kv_at + j * kv_stride + c];
      }
      score = score_of(dot, factor);
    }
    let before = largest;
    largest = max(largest, max_over_lanes(lane, score));
    let shrink = exp(before - largest);
    let weight = exp(score - largest);
    weights[lane] = weight;
    total = total * shrink + sum_over_lanes(lane, weight); // its barriers also publish `weights`
    let keys = min(lanes, length - tile);
    for (var c = lane; c < head_size; c += lanes) {
      var sum = sums[c] * shrink;
      for (var i = 0u; i < keys; i++) {
        sum += weights[i] * value_cache[kv_at + (tile + i) * kv_stride + c];
      }
      sums[c] = sum;
    }
    workgroupBarrier();
  }
  for (var c = lane; c < head_size; c += lanes) {
    y[q_at + c] = select(sums[c] / total, 0.0, length == 0u);
  }
}
