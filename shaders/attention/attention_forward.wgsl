// attention_forward: causal attention over packed sequences with grouped query heads, for any head size.
//   s[j] = score of q[n, h] · k[j, g] for the keys j in [sequence_start[n], n] that n sees, g = h / (H / Hkv)
//   y[n, h] = Σ_j softmax(s)[j] · v[j, g];   logsumexp[n, h] = log Σ_j exp(s[j])
// Paper    Vaswani et al. 2017, arXiv:1706.03762, eq. 1; online softmax: Milakov, Gimelshein 2018, arXiv:1805.02867.
// Shapes   q, y (N, H·K), k, v (N, Hkv·K), sequence_start (N) u32, logsumexp (N, H); f32, row-major.
// Grid     one workgroup per (token, query head); lanes over keys, then over the head's elements. Preludes
//          lane_reductions, score_rules. The scores of one tile of keys are all that is ever stored.
// Effect   WRITES y and logsumexp.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override heads: u32; // H
override kv_heads: u32; // Hkv; query head h reads key/value head h / (H / Hkv)
override head_size: u32; // K

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> q: array<f32>; // (N, H·K)
@group(0) @binding(2) var<storage, read> k: array<f32>; // (N, Hkv·K)
@group(0) @binding(3) var<storage, read> v: array<f32>; // (N, Hkv·K)
@group(0) @binding(4) var<storage, read> sequence_start: array<u32>; // (N)
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // (N, H·K)
@group(0) @binding(6) var<storage, read_write> logsumexp: array<f32>; // (N, H)

var<workgroup> weights: array<f32, lanes>; // exp(s − running maximum) of one tile of keys
var<workgroup> sums: array<f32, head_size>; // Σ weights · v so far

@compute @workgroup_size(lanes)
fn attention_forward(
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

  for (var c = lane; c < head_size; c += lanes) {
    sums[c] = 0.0;
  }
  var largest = -1.0e30; // a masked score of −3e38 becomes exp(−huge) = 0 against it
  var total = 0.0;
  for (var tile = first_key(n, sequence_start[n]); tile <= n; tile += lanes) {
    let j = tile + lane;
    var score = -3.0e38;
    if (j <= n) {
      var dot = 0.0;
      for (var c = 0u; c < head_size; c++) {
        dot += q[q_at + c] * k[j * kv_stride + kv_at + c];
      }
      score = score_of(dot, factor);
    }
    let before = largest;
    largest = max(largest, max_over_lanes(lane, score));
    let shrink = exp(before - largest);
    let weight = exp(score - largest);
    weights[lane] = weight;
    total = total * shrink + sum_over_lanes(lane, weight); // its barriers also publish `weights`
    let keys = min(lanes, n + 1u - tile);
    for (var c = lane; c < head_size; c += lanes) {
      var sum = sums[c] * shrink;
      for (var i = 0u; i < keys; i++) {
        sum += weights[i] * v[(tile + i) * kv_stride + kv_at + c];
      }
      sums[c] = sum;
    }
    workgroupBarrier();
  }

  for (var c = lane; c < head_size; c += lanes) {
    y[q_at + c] = sums[c] / total;
  }
  if (lane == 0u) {
    logsumexp[n * heads + h] = largest + log(total);
  }
}
