// attention_backward_query: gradient of the loss with respect to the queries, for any head size.
//   p[j] = exp(s[j] − logsumexp), s[j] the score of q·k[j];  ds[j] = p[j] · (d_y·v[j] − delta) · ∂s[j]/∂(q·k[j]);
//   d_q[n, h] = Σ_j ds[j] · k[j, g], over the keys that n sees
// Paper    Dao et al. 2022, arXiv:2205.14135, appendix B.4.
// Shapes   q, d_y, d_q (N, H·K), k, v (N, Hkv·K), sequence_start (N) u32, logsumexp, delta (N, H); f32, row-major.
// Grid     one workgroup per (token, query head); lanes over keys, then over the head's elements. Prelude
//          score_rules.
// Effect   WRITES d_q.
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
@group(0) @binding(4) var<storage, read> sequence_start: array<u32>; // (N)
@group(0) @binding(5) var<storage, read> logsumexp: array<f32>; // (N, H)
@group(0) @binding(6) var<storage, read> delta: array<f32>; // (N, H)
@group(0) @binding(7) var<storage, read> d_y: array<f32>; // (N, H·K)
@group(0) @binding(8) var<storage, read_write> d_q: array<f32>; // (N, H·K)

var<workgroup> d_scores: array<f32, lanes>; // of one tile of keys
var<workgroup> sums: array<f32, head_size>;

@compute @workgroup_size(lanes)
fn attention_backward_query(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let task = workgroup.x + workgroup.y * workgroups.x;
  let n = rows.first + task / heads;
  let h = task % heads;
  if (n >= rows.end) {
    return;
  }
  let kv_stride = kv_heads * head_size;
  let kv_at = (h / (heads / kv_heads)) * head_size;
  let q_at = (n * heads + h) * head_size;
  let factor = score_scale();
  let lse = logsumexp[n * heads + h];
  let mean = delta[n * heads + h];

  for (var c = lane; c < head_size; c += lanes) {
    sums[c] = 0.0;
  }
  for (var tile = first_key(n, sequence_start[n]); tile <= n; tile += lanes) {
    let j = tile + lane;
    if (j <= n) {
      var product = 0.0;
      var d_weight = 0.0;
      for (var c = 0u; c < head_size; c++) {
        let at = j * kv_stride + kv_at + c;
        product += q[q_at + c] * k[at];
        d_weight += d_y[q_at + c] * v[at];
      }
      let score = score_of(product, factor);
      d_scores[lane] = exp(score - lse) * (d_weight - mean) * slope_of(score, factor);
    }
    workgroupBarrier();
    let keys = min(lanes, n + 1u - tile);
    for (var c = lane; c < head_size; c += lanes) {
      var sum = sums[c];
      for (var i = 0u; i < keys; i++) {
        sum += d_scores[i] * k[(tile + i) * kv_stride + kv_at + c];
      }
      sums[c] = sum;
    }
    workgroupBarrier();
  }
  for (var c = lane; c < head_size; c += lanes) {
    d_q[q_at + c] = sums[c];
  }
}
