// attention_decode_streams: attention_decode for head sizes that are multiples of 16, every lane a softmax over keys of its
// own; the lanes meet once, at the end. For software adapters: there a barrier is a switch of all lanes, and every access to
// an array costs the same bound check and division whether it brings 4 bytes or 64, so a matrix of 16 elements is the unit.
//   s[j] = score of q[b, h] · key_cache[S + j, g] for the last min(window, lengths[b]) keys j < lengths[b], S = cache_starts[b];
//   y[b, h] = Σ_j softmax(s)[j] · value_cache[S + j, g]
// Paper    Vaswani et al. 2017, arXiv:1706.03762, eq. 1; online softmax: Milakov, Gimelshein 2018, arXiv:1805.02867.
// Shapes   q, y (B, H·K), key_cache, value_cache (S, Hkv·K), lengths and cache_starts (B) u32; f32, row-major, q and
//          the caches read as matrices of 16 neighbouring elements.
// Grid     one workgroup per (sequence, query head); lane l meets keys l, l + lanes, … of
//          those seen. Prelude score_rules.
// Effect   WRITES y; zeros where a length is 0.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override lanes: u32; // invocations in the workgroup
override heads: u32; // H
override kv_heads: u32; // Hkv; query head h reads key/value head h / (H / Hkv)
override head_size: u32; // K, a multiple of 16
override blocks: u32 = head_size / 16u; // matrices in a head
override quarter: u32 = head_size / 4u; // vec4 in a head
override cache_capacity: u32; // rows of the caches that a sequence has

const TURNS = 16u; // keys of a lane between two updates of its maximum

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> q: array<mat4x4<f32>>; // (B, H, K/16)
@group(0) @binding(2) var<storage, read> key_cache: array<mat4x4<f32>>; // (S, Hkv, K/16)
@group(0) @binding(3) var<storage, read> value_cache: array<mat4x4<f32>>; // (S, Hkv, K/16)
@group(0) @binding(4) var<storage, read> lengths: array<u32>; // (B)
@group(0) @binding(5) var<storage, read> cache_starts: array<u32>; // (B)
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>; // (B, H, K/4)

var<workgroup> largests: array<f32, lanes>; // of each lane's keys
var<workgroup> totals: array<f32, lanes>;
var<workgroup> sums: array<mat4x4<f32>, lanes * blocks>; // (lane, K/16): Σ weight · v of the lane's keys

@compute @workgroup_size(lanes)
fn attention_decode_streams(
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
  let stride = kv_heads * blocks;
  let kv_at = cache_starts[b] * stride + (h / (heads / kv_heads)) * blocks;
  let q_at = (b * heads + h) * blocks;
  let factor = score_scale();
  let length = min(lengths[b], cache_capacity);
  let begin = length - min(window, length); // the new token is the last key
  let last = max(length, 1u) - 1u;

  var largest = -1.0e30; // a masked score of −3e38 becomes exp(−huge) = 0 against it
  var total = 0.0;
  var scores: array<f32, TURNS>; // of one tile of keys, then their weights
  for (var tile = begin; tile < length; tile += TURNS * lanes) {
    let turns = min(TURNS, (length - tile + lanes - 1u) / lanes);
    for (var block = 0u; block < blocks; block++) {
      let a = q[q_at + block];
      for (var turn = 0u; turn < turns; turn++) {
        let k = key_cache[kv_at + min(tile + turn * lanes + lane, last) * stride + block];
        let product = dot(a[0], k[0]) + dot(a[1], k[1]) + dot(a[2], k[2]) + dot(a[3], k[3]);
        scores[turn] = select(scores[turn], 0.0, block == 0u) + product;
      }
    }
    let before = largest;
    for (var turn = 0u; turn < turns; turn++) {
      let score = select(-3.0e38, score_of(scores[turn], factor), tile + turn * lanes + lane < length);
      scores[turn] = score;
      largest = max(largest, score);
    }
    let shrink = exp(before - largest);
    total *= shrink;
    for (var turn = 0u; turn < turns; turn++) {
      let weight = exp(scores[turn] - largest);
      scores[turn] = weight;
      total += weight;
    }
    for (var block = 0u; block < blocks; block++) {
      var sum = sums[lane * blocks + block] * shrink;
      for (var turn = 0u; turn < turns; turn++) {
        sum += value_cache[kv_at + min(tile + turn * lanes + lane, last) * stride + block] * scores[turn];
      }
      sums[lane * blocks + block] = sum;
    }
  }
  largests[lane] = largest;
  totals[lane] = total;
  workgroupBarrier();

  var most = largests[0];
  for (var other = 1u; other < lanes; other++) {
    most = max(most, largests[other]);
  }
  var whole = 0.0;
  for (var other = 0u; other < lanes; other++) {
    whole += totals[other] * exp(largests[other] - most);
  }
  for (var c = lane; c < quarter; c += lanes) {
    var sum = vec4<f32>();
    for (var other = 0u; other < lanes; other++) {
      sum += sums[other * blocks + c / 4u][c % 4u] * exp(largests[other] - most);
    }
    y[(b * heads + h) * quarter + c] = select(sum / whole, vec4<f32>(), length == 0u);
  }
}
