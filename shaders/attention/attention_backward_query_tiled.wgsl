// attention_backward_query_tiled: attention_backward_query for head sizes that are multiples of four, a tile of queries at
// a time.
//   p[j] = exp(s[j] − logsumexp), s[j] the score of q·k[j];  ds[j] = p[j] · (d_y·v[j] − delta) · ∂s[j]/∂(q·k[j]);
//   d_q[n, h] = Σ_j ds[j] · k[j, g], over the keys that n sees
// Paper    Dao et al. 2022, arXiv:2205.14135, appendix B.4; tiles as in attention_forward_tiled.
// Preludes score_rules, tile_scores, tile_value_products.
// Shapes   q, d_y, d_q (N, H·K), k, v (N, Hkv·K), sequence_start (N) u32, logsumexp, delta (N, H); f32, row-major.
// Grid     one workgroup per (tile of 4·query_groups tokens, query head).
// Effect   WRITES d_q. A repeat run gives the same bits.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override lanes: u32; // invocations in the workgroup
override heads: u32; // H
override kv_heads: u32; // Hkv; query head h reads key/value head h / (H / Hkv)
override head_size: u32; // K, a multiple of 4
override quarter: u32 = head_size / 4u; // vec4 in a head
override query_groups: u32; // of four queries each
override key_tile: u32; // a multiple of 4

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>; // (N, H, K/4)
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>; // (N, Hkv, K/4)
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>; // (N, Hkv, K/4)
@group(0) @binding(4) var<storage, read> sequence_start: array<u32>; // (N)
@group(0) @binding(5) var<storage, read> logsumexp: array<f32>; // (N, H)
@group(0) @binding(6) var<storage, read> delta: array<f32>; // (N, H)
@group(0) @binding(7) var<storage, read> d_y: array<vec4<f32>>; // (N, H, K/4)
@group(0) @binding(8) var<storage, read_write> d_q: array<vec4<f32>>; // (N, H, K/4)

// A vec4 of these belongs to the four queries of a group.
var<workgroup> d_scores: array<vec4<f32>, key_tile * query_groups>; // (key, group)
var<workgroup> sums: array<vec4<f32>, 4u * query_groups * quarter>; // (query, K/4): d_q so far
var<workgroup> starts: array<vec4<u32>, query_groups>; // first keys seen
var<workgroup> logsumexps: array<vec4<f32>, query_groups>;
var<workgroup> deltas: array<vec4<f32>, query_groups>;

@compute @workgroup_size(lanes)
fn attention_backward_query_tiled(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let task = workgroup.x + workgroup.y * workgroups.x;
  let h = task % heads;
  let first = rows.first + (task / heads) * 4u * query_groups;
  if (first >= rows.end) {
    return;
  }
  let last = min(first + 4u * query_groups, rows.end) - 1u; // queries behind it repeat it and are not written
  let kv_stride = kv_heads * quarter;
  let kv_at = (h / (heads / kv_heads)) * quarter;
  let factor = score_scale();

  for (var i = lane; i < 4u * query_groups * quarter; i += lanes) {
    sums[i] = vec4<f32>();
  }
  for (var g = lane; g < query_groups; g += lanes) {
    let n = min(vec4<u32>(first + 4u * g) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
    let at = n * heads + h;
    starts[g] = vec4<u32>(
      first_key(n.x, sequence_start[n.x]),
      first_key(n.y, sequence_start[n.y]),
      first_key(n.z, sequence_start[n.z]),
      first_key(n.w, sequence_start[n.w]),
    );
    logsumexps[g] = vec4<f32>(logsumexp[at.x], logsumexp[at.y], logsumexp[at.z], logsumexp[at.w]);
    deltas[g] = vec4<f32>(delta[at.x], delta[at.y], delta[at.z], delta[at.w]);
  }
  workgroupBarrier();

  for (var tile = first_key(first, sequence_start[first]); tile <= last; tile += key_tile) {
    let keys = min(key_tile, last + 1u - tile);

    for (var block = lane; block < ((keys + 3u) / 4u) * query_groups; block += lanes) {
      let g = block % query_groups;
      let key = tile + (block / query_groups) * 4u;
      let queries = vec4<u32>(first + 4u * g) + vec4<u32>(0u, 1u, 2u, 3u);
      let keys4 = vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u);
      let q_at = (min(queries, vec4<u32>(last)) * heads + h) * quarter;
      let k_at = min(keys4, vec4<u32>(last)) * kv_stride + kv_at;
      let products = query_key_products(q_at, k_at);
      let lse = logsumexps[g];
      let first_keys = starts[g];
      let none = vec4<f32>();
      let s0 = scores4(products[0], factor);
      let p0 = select(none, exp(s0 - lse), (vec4<u32>(key) <= queries) & (vec4<u32>(key) >= first_keys));
      let s1 = scores4(products[1], factor);
      let p1 = select(none, exp(s1 - lse), (vec4<u32>(key + 1u) <= queries) & (vec4<u32>(key + 1u) >= first_keys));
      let s2 = scores4(products[2], factor);
      let p2 = select(none, exp(s2 - lse), (vec4<u32>(key + 2u) <= queries) & (vec4<u32>(key + 2u) >= first_keys));
      let s3 = scores4(products[3], factor);
      let p3 = select(none, exp(s3 - lse), (vec4<u32>(key + 3u) <= queries) & (vec4<u32>(key + 3u) >= first_keys));
      let d = gradient_value_products(q_at, k_at);
      let mean = deltas[g];
      let at = (block / query_groups) * 4u * query_groups + g;
      d_scores[at] = p0 * (d[0] - mean) * slopes4(s0, factor);
      d_scores[at + query_groups] = p1 * (d[1] - mean) * slopes4(s1, factor);
      d_scores[at + 2u * query_groups] = p2 * (d[2] - mean) * slopes4(s2, factor);
      d_scores[at + 3u * query_groups] = p3 * (d[3] - mean) * slopes4(s3, factor);
    }
    workgroupBarrier();

    for (var block = lane; block < query_groups * quarter; block += lanes) {
      let c = block % quarter;
      let group = block / quarter;
      let at = group * 4u * quarter + c;
      var sum0 = sums[at + 0u * quarter];
      var sum1 = sums[at + 1u * quarter];
      var sum2 = sums[at + 2u * quarter];
      var sum3 = sums[at + 3u * quarter];
      for (var key = 0u; key < keys; key++) {
        let value = k[(tile + key) * kv_stride + kv_at + c];
        let weight = d_scores[key * query_groups + group];
        sum0 += weight.x * value;
        sum1 += weight.y * value;
        sum2 += weight.z * value;
        sum3 += weight.w * value;
      }
      sums[at + 0u * quarter] = sum0;
      sums[at + 1u * quarter] = sum1;
      sums[at + 2u * quarter] = sum2;
      sums[at + 3u * quarter] = sum3;
    }
    workgroupBarrier();
  }

  for (var i = lane; i < (last + 1u - first) * quarter; i += lanes) {
    d_q[((first + i / quarter) * heads + h) * quarter + i % quarter] = sums[i];
  }
}
