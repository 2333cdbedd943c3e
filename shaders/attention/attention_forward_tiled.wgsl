// attention_forward_tiled: attention_forward for head sizes that are multiples of four, a tile of queries at a time.
//   s[j] = score of q[n, h] · k[j, g] for the keys j in [sequence_start[n], n] that n sees, g = h / (H / Hkv)
//   y[n, h] = Σ_j softmax(s)[j] · v[j, g];   logsumexp[n, h] = log Σ_j exp(s[j])
// Paper    Dao et al. 2022, arXiv:2205.14135 (tiles, online softmax): here tiles in workgroup memory hold only the scores
//          and the sums; q, k and v are read straight from storage into registers, 4 queries × 4 keys a lane.
// Preludes score_rules, tile_scores.
// Shapes   q, y (N, H·K), k, v (N, Hkv·K), sequence_start (N) u32, logsumexp (N, H); f32, row-major.
// Grid     one workgroup per (tile of 4·query_groups tokens, query head).
//          Tiles of keys are counted from each sequence's own start, and what is masked changes no bit, so a row's bits
//          depend on its sequence alone, wherever that lies in the pack.
// Effect   WRITES y and logsumexp. A repeat run gives the same bits; later tokens never change earlier rows.
// Pairs    kernels/attention.ts · reference/attention.ts · test/kernels/attention.test.ts

override lanes: u32; // invocations in the workgroup
override heads: u32; // H
override kv_heads: u32; // Hkv; query head h reads key/value head h / (H / Hkv)
override head_size: u32; // K, a multiple of 4
override quarter: u32 = head_size / 4u; // vec4 in a head
override query_groups: u32; // of four queries each
override key_tile: u32; // a multiple of 4
override parts: u32; // lanes that share a group's softmax; parts · query_groups is at most lanes, unless parts is 1

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }
@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>; // (N, H, K/4)
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>; // (N, Hkv, K/4)
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>; // (N, Hkv, K/4)
@group(0) @binding(4) var<storage, read> sequence_start: array<u32>; // (N)
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>; // (N, H, K/4)
@group(0) @binding(6) var<storage, read_write> logsumexp: array<f32>; // (N, H)

// A vec4 of scores, maxima or totals belongs to the four queries of a group.
var<workgroup> scores: array<vec4<f32>, key_tile * query_groups>; // (key, group), then the weights in their place
var<workgroup> sums: array<vec4<f32>, 4u * query_groups * quarter>; // (query, K/4): Σ weight · v so far
var<workgroup> starts: array<vec4<u32>, query_groups>;
var<workgroup> largest: array<vec4<f32>, 2u * query_groups>; // running maximum before and after a tile, in turns
var<workgroup> shrink: array<vec4<f32>, query_groups>; // exp(old maximum − new maximum)
var<workgroup> part_largest: array<vec4<f32>, parts * query_groups>;
var<workgroup> part_totals: array<vec4<f32>, parts * query_groups>; // Σ weight of each part so far

@compute @workgroup_size(lanes)
fn attention_forward_tiled(
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
  let tasks = parts * query_groups;

  for (var i = lane; i < 4u * query_groups * quarter; i += lanes) {
    sums[i] = vec4<f32>();
  }
  for (var i = lane; i < tasks; i += lanes) {
    part_totals[i] = vec4<f32>();
  }
  for (var g = lane; g < query_groups; g += lanes) {
    let n = min(vec4<u32>(first + 4u * g) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last));
    starts[g] = vec4<u32>(sequence_start[n.x], sequence_start[n.y], sequence_start[n.z], sequence_start[n.w]);
    largest[g] = vec4<f32>(-1.0e30); // a masked score of −3e38 becomes exp(−huge) = 0 against it
  }
  workgroupBarrier();

  var turn = 0u;
  var end = first; // behind the last of this workgroup's queries that belong to the sequence in turn
  while (end <= last) {
    let start = sequence_start[end];
    let seen = first_key(end, start); // by the first of these queries; tiles that end before it are left out
    while (end <= last && sequence_start[end] == start) {
      end++;
    }
    for (var tile = seen - (seen - start) % key_tile; tile < end; tile += key_tile) {
      let keys = min(key_tile, end - tile);
      let key_blocks = (keys + 3u) / 4u;

      for (var block = lane; block < key_blocks * query_groups; block += lanes) {
        let g = block % query_groups;
        let key = tile + (block / query_groups) * 4u;
        let queries = vec4<u32>(first + 4u * g) + vec4<u32>(0u, 1u, 2u, 3u);
        let keys4 = vec4<u32>(key) + vec4<u32>(0u, 1u, 2u, 3u);
        let products = query_key_products(
          (min(queries, vec4<u32>(last)) * heads + h) * quarter,
          min(keys4, vec4<u32>(end - 1u)) * kv_stride + kv_at,
        );
        let own = starts[g] == vec4<u32>(start);
        let masked = vec4<f32>(-3.0e38);
        let at = (block / query_groups) * 4u * query_groups + g;
        scores[at] = select(masked, scores4(products[0], factor), seen4(key, queries) & own);
        scores[at + query_groups] = select(masked, scores4(products[1], factor), seen4(key + 1u, queries) & own);
        scores[at + 2u * query_groups] = select(masked, scores4(products[2], factor), seen4(key + 2u, queries) & own);
        scores[at + 3u * query_groups] = select(masked, scores4(products[3], factor), seen4(key + 3u, queries) & own);
      }
      workgroupBarrier();

      for (var i = lane; i < tasks; i += lanes) {
        var most = vec4<f32>(-1.0e30);
        for (var key = i / query_groups; key < key_blocks * 4u; key += parts) {
          most = max(most, scores[key * query_groups + i % query_groups]);
        }
        part_largest[i] = most;
      }
      workgroupBarrier();

      for (var i = lane; i < tasks; i += lanes) {
        let g = i % query_groups;
        let before = largest[turn * query_groups + g];
        var most = before;
        for (var part = 0u; part < parts; part++) {
          most = max(most, part_largest[part * query_groups + g]);
        }
        let factor = select(exp(before - most), vec4<f32>(1.0), before == most); // exp(0) need not be 1
        var total = part_totals[i] * factor;
        for (var key = i / query_groups; key < key_blocks * 4u; key += parts) {
          let score = scores[key * query_groups + g];
          let weight = select(exp(score - most), vec4<f32>(), score < vec4<f32>(-2.0e38)); // nor exp(−huge) 0
          scores[key * query_groups + g] = weight;
          total += weight;
        }
        part_totals[i] = total;
        if (i < query_groups) {
          largest[(1u - turn) * query_groups + g] = most;
          shrink[g] = factor;
        }
      }
      turn = 1u - turn;
      workgroupBarrier();

      for (var block = lane; block < query_groups * quarter; block += lanes) {
        let c = block % quarter;
        let group = block / quarter;
        let at = group * 4u * quarter + c;
        let factor = shrink[group];
        var sum0 = sums[at + 0u * quarter] * factor.x;
        var sum1 = sums[at + 1u * quarter] * factor.y;
        var sum2 = sums[at + 2u * quarter] * factor.z;
        var sum3 = sums[at + 3u * quarter] * factor.w;
        for (var key = 0u; key < keys; key++) {
          let value = v[(tile + key) * kv_stride + kv_at + c];
          let weight = scores[key * query_groups + group];
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
  }

  for (var g = lane; g < query_groups; g += lanes) {
    var total = vec4<f32>();
    for (var part = 0u; part < parts; part++) {
      total += part_totals[part * query_groups + g];
    }
    shrink[g] = 1.0 / total;
    let lse = largest[turn * query_groups + g] + log(total);
    for (var i = 0u; i < 4u; i++) {
      let n = first + 4u * g + i;
      if (n <= last) {
        logsumexp[n * heads + h] = lse[i];
      }
    }
  }
  workgroupBarrier();
  for (var i = lane; i < (last + 1u - first) * quarter; i += lanes) {
    let query = i / quarter;
    y[((first + query) * heads + h) * quarter + i % quarter] = sums[i] * shrink[query / 4u][query % 4u];
  }
}
