// attention_decode_wide: attention_decode for head sizes that are multiples of four, four elements a load.
//   s[j] = score of q[b, h] · key_cache[S + j, g] for the last min(window, lengths[b]) keys j < lengths[b], S = cache_starts[b];
//   y[b, h] = Σ_j softmax(s)[j] · value_cache[S + j, g]
// Paper    Vaswani et al. 2017, arXiv:1706.03762, eq. 1; online softmax: Milakov, Gimelshein 2018, arXiv:1805.02867.
// Shapes   q, y (B, H·K), key_cache, value_cache (S, Hkv·K), lengths and cache_starts (B) u32; f32, row-major, read
//          as vec4.
// Grid     one workgroup per (sequence, query head); lanes over the keys of a tile, then over (part of the keys, column).
//          Preludes lane_reductions, score_rules.
// Effect   WRITES y; zeros where a length is 0.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override heads: u32; // H
override kv_heads: u32; // Hkv; query head h reads key/value head h / (H / Hkv)
override head_size: u32; // K, a multiple of 4
override quarter: u32 = head_size / 4u; // vec4 in a head
override cache_capacity: u32; // rows of the caches that a sequence has
override key_tile: u32; // keys between two reductions
override parts: u32; // lanes that share a column, each with every parts-th key

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>; // (B, H, K/4)
@group(0) @binding(2) var<storage, read> key_cache: array<vec4<f32>>; // (S, Hkv, K/4)
@group(0) @binding(3) var<storage, read> value_cache: array<vec4<f32>>; // (S, Hkv, K/4)
@group(0) @binding(4) var<storage, read> lengths: array<u32>; // (B)
@group(0) @binding(5) var<storage, read> cache_starts: array<u32>; // (B)
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>; // (B, H, K/4)

var<workgroup> weights: array<f32, key_tile>; // scores, then exp(s − running maximum), of one tile of keys
var<workgroup> sums: array<vec4<f32>, parts * quarter>; // (part, K/4): Σ weight · v so far

@compute @workgroup_size(lanes)
fn attention_decode_wide(
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
  let kv_stride = kv_heads * quarter;
  let kv_at = cache_starts[b] * kv_stride + (h / (heads / kv_heads)) * quarter;
  let q_at = (b * heads + h) * quarter;
  let factor = score_scale();
  let length = min(lengths[b], cache_capacity);
  let begin = length - min(window, length); // the new token is the last key

  for (var i = lane; i < parts * quarter; i += lanes) {
    sums[i] = vec4<f32>();
  }
  var largest = -1.0e30;
  var total = 0.0; // of this lane's keys
  for (var tile = begin; tile < length; tile += key_tile) {
    let keys = min(key_tile, length - tile);
    var most = largest;
    for (var i = lane; i < keys; i += lanes) {
      let at = kv_at + (tile + i) * kv_stride;
      var products = vec4<f32>();
      for (var c = 0u; c < quarter; c++) {
        products += q[q_at + c] * key_cache[at + c];
      }
      let score = score_of(products.x + products.y + products.z + products.w, factor);
      weights[i] = score;
      most = max(most, score);
    }
    let before = largest;
    largest = max_over_lanes(lane, most);
    let shrink = exp(before - largest);
    total *= shrink;
    for (var i = lane; i < keys; i += lanes) {
      let weight = exp(weights[i] - largest);
      weights[i] = weight;
      total += weight;
    }
    workgroupBarrier();
    for (var i = lane; i < parts * quarter; i += lanes) {
      let at = kv_at + tile * kv_stride + i % quarter;
      var sum = sums[i] * shrink;
      for (var key = i / quarter; key < keys; key += parts) {
        sum += weights[key] * value_cache[at + key * kv_stride];
      }
      sums[i] = sum;
    }
    workgroupBarrier();
  }

  let whole = sum_over_lanes(lane, total); // its barriers also publish `sums`
  for (var c = lane; c < quarter; c += lanes) {
    var sum = vec4<f32>();
    for (var part = 0u; part < parts; part++) {
      sum += sums[part * quarter + c];
    }
    y[q_at + c] = select(sum / whole, vec4<f32>(), length == 0u);
  }
}
