// token_logps: how probable the student finds what was drawn, and what it would have found more probable.
//   log π(i) = logits[b, i] − max − log Σ_j exp(logits[b, j] − max): the softmax of the logits as they are, without temperature,
//   top-k and top-p. at = b·MAX_NEW + output_count[b]; logps[at] = log π(next_ids[b]);
//   top_ids, top_logps[at·K …]: the K most probable tokens, falling, equal ones by the lower id; 0xffffffff and 0 where fewer
//   tokens than K have a finite logit.
// Shapes   logits (B, V) f32; next_ids, finished, output_count (B) u32; logps (B·MAX_NEW) f32; top_ids (B·MAX_NEW·K) u32,
//          top_logps (B·MAX_NEW·K) f32.
// Grid     one workgroup per row; between sample_tokens and sample_advance.
// Effect   WRITES the place of the token that is about to be emitted; of finished rows, and where no token was drawn, nothing.
//          One pass over V for each of the K, and two more: no sort. K = 0: two passes.
// Pairs    kernels/tokenLogps.ts · reference/tokenLogps.ts · test/kernels/tokenLogps.test.ts · preludes ordered_bits,
//          lane_reductions

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override V: u32;
override K: u32;
override MAX_NEW: u32;

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // the bits: WGSL's floats need not know infinity
@group(0) @binding(2) var<storage, read> next_ids: array<u32>;
@group(0) @binding(3) var<storage, read> finished: array<u32>;
@group(0) @binding(4) var<storage, read> output_count: array<u32>;
@group(0) @binding(5) var<storage, read_write> logps: array<f32>;
@group(0) @binding(6) var<storage, read_write> top_ids: array<u32>;
@group(0) @binding(7) var<storage, read_write> top_logps: array<f32>;

const NO_TOKEN = 0xffffffffu;
const LOWEST = 0x00800000u; // ordered(): the lowest finite number; −∞ is just below
const NEXT_TO_NOTHING = -100.0; // an exponent at which a weight counts as 0, on every adapter

var<workgroup> lane_ranks: array<u32, lanes>;
var<workgroup> lane_indices: array<u32, lanes>;

// The highest (logit, then lower id) below (rank, index), over all lanes; rank 0 where there is none. All lanes get it.
fn next_below(rank: u32, index: u32, base: u32, lane: u32) -> vec2<u32> {
  var best = vec2<u32>(0u, NO_TOKEN);
  for (var i = lane; i < V; i += lanes) {
    let own = ordered(logits[base + i]);
    // Ids rise along a lane: an equal one later is the higher id.
    if (own >= LOWEST && (own < rank || (own == rank && i > index)) && own > best.x) {
      best = vec2<u32>(own, i);
    }
  }
  lane_ranks[lane] = best.x;
  lane_indices[lane] = best.y;
  workgroupBarrier();
  for (var half = lanes / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      let other = vec2<u32>(lane_ranks[lane + half], lane_indices[lane + half]);
      if (other.x > lane_ranks[lane] || (other.x == lane_ranks[lane] && other.y < lane_indices[lane])) {
        lane_ranks[lane] = other.x;
        lane_indices[lane] = other.y;
      }
    }
    workgroupBarrier();
  }
  let found = vec2<u32>(lane_ranks[0], lane_indices[0]);
  workgroupBarrier(); // everybody has read before the next search writes
  return found;
}

@compute @workgroup_size(lanes)
fn token_logps(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = rows.first + group.x + group.y * groups.x;
  if (row >= rows.end) {
    return;
  }
  let token = next_ids[row];
  let emitted = output_count[row];
  if (finished[row] != 0u || token == NO_TOKEN || emitted >= MAX_NEW) {
    return;
  }
  let base = row * V;
  let at = row * MAX_NEW + emitted;

  let first = next_below(0xffffffffu, NO_TOKEN, base, lane);
  let most = bitcast<f32>(logits[base + min(first.y, V - 1u)]);
  var own = 0.0;
  for (var i = lane; i < V; i += lanes) {
    let exponent = max(bitcast<f32>(logits[base + i]) - most, 2.0 * NEXT_TO_NOTHING);
    own += select(exp(exponent), 0.0, exponent < NEXT_TO_NOTHING);
  }
  let log_sum = log(sum_over_lanes(lane, own));
  if (lane == 0u) {
    logps[at] = bitcast<f32>(logits[base + token]) - most - log_sum;
  }
  var found = first;
  for (var k = 0u; k < K; k++) {
    if (k > 0u) {
      found = next_below(found.x, found.y, base, lane);
    }
    if (lane == 0u) {
      let none = found.x == 0u;
      top_ids[at * K + k] = found.y;
      top_logps[at * K + k] = select(bitcast<f32>(logits[base + min(found.y, V - 1u)]) - most - log_sum, 0.0, none);
    }
  }
}
