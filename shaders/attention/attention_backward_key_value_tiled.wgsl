// attention_backward_key_value_tiled: attention_backward_key_value for head sizes that are multiples of four, a tile of
// keys at a time.
//   over the queries n in [j, sequence_end[j]) that see j and the query heads h of group g, with p and ds as in
//   attention_backward_query:  d_v[j, g] = Σ p · d_y[n, h];   d_k[j, g] = Σ ds · q[n, h]
// Paper    Dao et al. 2022, arXiv:2205.14135, appendix B.4; tiles as in attention_forward_tiled, keys and queries swapped.
// Preludes score_rules, tile_scores, tile_value_products.
// Shapes   q, d_y (N, H·K), k, v, d_k, d_v (N, Hkv·K), sequence_end (N) u32 exclusive, logsumexp, delta (N, H); f32, row-major.
// Grid     one workgroup per (tile of 4·key_groups tokens, key/value head). The slice cuts the keys; queries go up to the
//          sequence's or the window's end.
// Effect   WRITES d_k and d_v. No atomics: a repeat run gives the same bits.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override lanes: u32; // invocations in the workgroup
override heads: u32; // H
override kv_heads: u32; // Hkv; query head h reads key/value head h / (H / Hkv)
override head_size: u32; // K, a multiple of 4
override quarter: u32 = head_size / 4u; // vec4 in a head
override key_groups: u32; // of four keys each
override query_tile: u32; // a multiple of 4

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>; // (N, H, K/4)
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>; // (N, Hkv, K/4)
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>; // (N, Hkv, K/4)
@group(0) @binding(4) var<storage, read> sequence_end: array<u32>; // (N)
@group(0) @binding(5) var<storage, read> logsumexp: array<f32>; // (N, H)
@group(0) @binding(6) var<storage, read> delta: array<f32>; // (N, H)
@group(0) @binding(7) var<storage, read> d_y: array<vec4<f32>>; // (N, H, K/4)
@group(0) @binding(8) var<storage, read_write> d_k: array<vec4<f32>>; // (N, Hkv, K/4)
@group(0) @binding(9) var<storage, read_write> d_v: array<vec4<f32>>; // (N, Hkv, K/4)

// A vec4 of these belongs to the four keys of a group.
var<workgroup> weights: array<vec4<f32>, query_tile * key_groups>; // (query, group)
var<workgroup> d_scores: array<vec4<f32>, query_tile * key_groups>; // (query, group)
var<workgroup> key_sums: array<vec4<f32>, 4u * key_groups * quarter>; // (key, K/4): d_k so far
var<workgroup> value_sums: array<vec4<f32>, 4u * key_groups * quarter>; // (key, K/4): d_v so far
var<workgroup> ends: array<vec4<u32>, key_groups>; // behind the last query that sees a key

@compute @workgroup_size(lanes)
fn attention_backward_key_value_tiled(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let task = workgroup.x + workgroup.y * workgroups.x;
  let kv_head = task % kv_heads;
  let first = rows.first + (task / kv_heads) * 4u * key_groups;
  if (first >= rows.end) {
    return;
  }
  let last = min(first + 4u * key_groups, rows.end) - 1u; // keys behind it repeat it and are not written
  let end = queries_end(last, min(sequence_end[last], rows.count)); // behind the last query that sees any of these keys
  let group_heads = heads / kv_heads;
  let factor = score_scale();

  for (var i = lane; i < 4u * key_groups * quarter; i += lanes) {
    key_sums[i] = vec4<f32>();
    value_sums[i] = vec4<f32>();
  }
  for (var g = lane; g < key_groups; g += lanes) {
    let j = min(vec4<u32>(first + 4u * g) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
    ends[g] = vec4<u32>(
      queries_end(j.x, sequence_end[j.x]),
      queries_end(j.y, sequence_end[j.y]),
      queries_end(j.z, sequence_end[j.z]),
      queries_end(j.w, sequence_end[j.w]),
    );
  }
  workgroupBarrier();

  for (var h = kv_head * group_heads; h < (kv_head + 1u) * group_heads; h++) {
    for (var tile = first; tile < end; tile += query_tile) {
      let queries = min(query_tile, end - tile);

      for (var block = lane; block < ((queries + 3u) / 4u) * key_groups; block += lanes) {
        let g = block % key_groups;
        let n = tile + (block / key_groups) * 4u;
        let key = first + 4u * g;
        let key_rows = min(vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
        let k_at = (key_rows * kv_heads + kv_head) * quarter;
        let row = min(vec4<u32>(n) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(end - 1u)) * heads + h;
        let q_at = row * quarter;
        let products = transpose(query_key_products(q_at, k_at)); // column i: four keys times query i
        let key_numbers = vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u);
        let key_ends = ends[g];
        let none = vec4<f32>();
        let s0 = scores4(products[0], factor);
        let p0 = select(none, exp(s0 - logsumexp[row.x]), (vec4<u32>(n) >= key_numbers) & (vec4<u32>(n) < key_ends));
        let s1 = scores4(products[1], factor);
        let p1 = select(none, exp(s1 - logsumexp[row.y]), (vec4<u32>(n + 1u) >= key_numbers) & (vec4<u32>(n + 1u) < key_ends));
        let s2 = scores4(products[2], factor);
        let p2 = select(none, exp(s2 - logsumexp[row.z]), (vec4<u32>(n + 2u) >= key_numbers) & (vec4<u32>(n + 2u) < key_ends));
        let s3 = scores4(products[3], factor);
        let p3 = select(none, exp(s3 - logsumexp[row.w]), (vec4<u32>(n + 3u) >= key_numbers) & (vec4<u32>(n + 3u) < key_ends));
        let d = transpose(gradient_value_products(q_at, k_at));
        let at = (block / key_groups) * 4u * key_groups + g;
        weights[at] = p0;
        weights[at + key_groups] = p1;
        weights[at + 2u * key_groups] = p2;
        weights[at + 3u * key_groups] = p3;
        d_scores[at] = p0 * (d[0] - delta[row.x]) * slopes4(s0, factor);
        d_scores[at + key_groups] = p1 * (d[1] - delta[row.y]) * slopes4(s1, factor);
        d_scores[at + 2u * key_groups] = p2 * (d[2] - delta[row.z]) * slopes4(s2, factor);
        d_scores[at + 3u * key_groups] = p3 * (d[3] - delta[row.w]) * slopes4(s3, factor);
      }
      workgroupBarrier();

      for (var block = lane; block < key_groups * quarter; block += lanes) {
        let c = block % quarter;
        let group = block / quarter;
        let at = group * 4u * quarter + c;
        var sum0 = value_sums[at + 0u * quarter];
        var sum1 = value_sums[at + 1u * quarter];
        var sum2 = value_sums[at + 2u * quarter];
        var sum3 = value_sums[at + 3u * quarter];
        for (var query = 0u; query < queries; query++) {
          let value = d_y[((tile + query) * heads + h) * quarter + c];
          let weight = weights[query * key_groups + group];
          sum0 += weight.x * value;
          sum1 += weight.y * value;
          sum2 += weight.z * value;
          sum3 += weight.w * value;
        }
        value_sums[at + 0u * quarter] = sum0;
        value_sums[at + 1u * quarter] = sum1;
        value_sums[at + 2u * quarter] = sum2;
        value_sums[at + 3u * quarter] = sum3;
      }
      for (var block = lane; block < key_groups * quarter; block += lanes) {
        let c = block % quarter;
        let group = block / quarter;
        let at = group * 4u * quarter + c;
        var sum0 = key_sums[at + 0u * quarter];
        var sum1 = key_sums[at + 1u * quarter];
        var sum2 = key_sums[at + 2u * quarter];
        var sum3 = key_sums[at + 3u * quarter];
        for (var query = 0u; query < queries; query++) {
          let value = q[((tile + query) * heads + h) * quarter + c];
          let weight = d_scores[query * key_groups + group];
          sum0 += weight.x * value;
          sum1 += weight.y * value;
          sum2 += weight.z * value;
          sum3 += weight.w * value;
        }
        key_sums[at + 0u * quarter] = sum0;
        key_sums[at + 1u * quarter] = sum1;
        key_sums[at + 2u * quarter] = sum2;
        key_sums[at + 3u * quarter] = sum3;
      }
      workgroupBarrier();
    }
  }

  for (var i = lane; i < (last + 1u - first) * quarter; i += lanes) {
    let at = ((first + i / quarter) * kv_heads + kv_head) * quarter + i % quarter;
    d_k[at] = key_sums[i];
    d_v[at] = value_sums[i];
  }
}
