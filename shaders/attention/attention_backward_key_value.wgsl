// attention_backward_key_value: gradients of the loss with respect to keys and values, for any head size.
//   over the queries n in [j, sequence_end[j]) that see j and the query heads h of group g, with p and ds as in
//   attention_backward_query:  d_v[j, g] = Σ p · d_y[n, h];   d_k[j, g] = Σ ds · q[n, h]
// Paper    Dao et al. 2022, arXiv:2205.14135, appendix B.4.
// Shapes   q, d_y (N, H·K), k, v, d_k, d_v (N, Hkv·K), sequence_end (N) u32 exclusive, logsumexp, delta (N, H); f32.
// Grid     one workgroup per (token, key/value head); lanes over queries, then over the head's elements. The slice cuts the
//          keys; queries go up to the sequence's or the window's end. Prelude score_rules.
// Effect   WRITES d_k and d_v. No atomics: a repeat run gives the same bits.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override lanes: u32 = 64;
override heads: u32; // H
override kv_heads: u32; // Hkv; query head h reads key/value head h / (H / Hkv)
override head_size: u32; // K

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> q: array<f32>; // (N, H·K)
@group(0) @binding(2) var<storage, read> k: array<f32>; // (N, Hkv·K)
@group(0) @binding(3) var<storage, read> v: array<f32>; // (N, Hkv·K)
@group(0) @binding(4) var<storage, read> sequence_end: array<u32>; // (N)
@group(0) @binding(5) var<storage, read> logsumexp: array<f32>; // (N, H)
@group(0) @binding(6) var<storage, read> delta: array<f32>; // (N, H)
@group(0) @binding(7) var<storage, read> d_y: array<f32>; // (N, H·K)
@group(0) @binding(8) var<storage, read_write> d_k: array<f32>; // (N, Hkv·K)
@group(0) @binding(9) var<storage, read_write> d_v: array<f32>; // (N, Hkv·K)

var<workgroup> weights: array<f32, lanes>; // of one tile of queries
var<workgroup> d_scores: array<f32, lanes>;
var<workgroup> key_sums: array<f32, head_size>;
var<workgroup> value_sums: array<f32, head_size>;

@compute @workgroup_size(lanes)
fn attention_backward_key_value(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let task = workgroup.x + workgroup.y * workgroups.x;
  let j = rows.first + task / kv_heads;
  let g = task % kv_heads;
  if (j >= rows.end) {
    return;
  }
  let group = heads / kv_heads;
  let kv_at = (j * kv_heads + g) * head_size;
  let factor = score_scale();
  let end = queries_end(j, min(sequence_end[j], rows.count));

  for (var c = lane; c < head_size; c += lanes) {
    key_sums[c] = 0.0;
    value_sums[c] = 0.0;
  }
  for (var h = g * group; h < (g + 1u) * group; h++) {
    for (var tile = j; tile < end; tile += lanes) {
      let n = tile + lane;
      if (n < end) {
        let at = (n * heads + h) * head_size;
        var product = 0.0;
        var d_weight = 0.0;
        for (var c = 0u; c < head_size; c++) {
          product += q[at + c] * k[kv_at + c];
          d_weight += d_y[at + c] * v[kv_at + c];
        }
        let score = score_of(product, factor);
        let weight = exp(score - logsumexp[n * heads + h]);
        weights[lane] = weight;
        d_scores[lane] = weight * (d_weight - delta[n * heads + h]) * slope_of(score, factor);
      }
      workgroupBarrier();
      let queries = min(lanes, end - tile);
      for (var c = lane; c < head_size; c += lanes) {
        var key_sum = key_sums[c];
        var value_sum = value_sums[c];
        for (var i = 0u; i < queries; i++) {
          let at = ((tile + i) * heads + h) * head_size + c;
          key_sum += d_scores[i] * q[at];
          value_sum += weights[i] * d_y[at];
        }
        key_sums[c] = key_sum;
        value_sums[c] = value_sum;
      }
      workgroupBarrier();
    }
  }
  for (var c = lane; c < head_size; c += lanes) {
    d_k[kv_at + c] = key_sums[c];
    d_v[kv_at + c] = value_sums[c];
  }
}
