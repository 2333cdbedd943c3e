// sample_tokens: the next token of every unfinished row: greedy, or drawn with temperature, top-k and top-p.
//   w_i = exp((logits[b, i] − max) / T);  support: the k largest logits, then the fewest of them whose Σ w reaches
//   p of the rest; token = smallest i with Σ_{j ≤ i} w_j > u · Σ w over the support, in index order.
//   u = unit_float(threefry((seed, stream), (sequence number, tokens generated so far))): whichever rows share the batch,
//   a sequence draws the same numbers.
// Source   top-p: Holtzman et al. 2020, arXiv:1904.09751, §3.1; order temperature, k, p as in transformers' generate.
// Shapes   logits (B, V) f32; sequences, finished, output_count, next_ids (B) u32; state (4) u32 = (seed, stream, 0, 0).
// Grid     one workgroup per row.
// Effect   WRITES next_ids of unfinished rows. Equal logits stand or fall together at the edge of top-k and top-p; GREEDY
//          takes the lowest index. −∞ is never drawn. A row with NaN or +∞, or with nothing but −∞, gets 0xffffffff: no token.
//          Thresholds come from searching the 32 bits of the value, two at a time: 16 passes over V, no sort.
// Pairs    kernels/sampling.ts · reference/sampling.ts · test/kernels/sampling.test.ts · preludes random, ordered_bits

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override lanes: u32; // invocations in the workgroup; a power of two
override V: u32;
override GREEDY: bool;
override TEMPERATURE: f32 = 1.0;
override TOP_K: u32 = 0u; // 0: all
override TOP_P: f32 = 1.0; // 1: all

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // the bits: WGSL's floats need not know NaN and infinity
@group(0) @binding(2) var<storage, read> sequences: array<u32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read> finished: array<u32>;
@group(0) @binding(5) var<storage, read> output_count: array<u32>;
@group(0) @binding(6) var<storage, read_write> next_ids: array<u32>;

const NO_TOKEN = 0xffffffffu;
const LOWEST = 0x00800000u; // ordered(): the lowest finite number; −∞ is just below
const INFINITE = 0xff800000u; // ordered(): +∞
const NEXT_TO_NOTHING = -80.0; // an exponent at which a weight counts as 0, on every adapter

var<workgroup> lane_ranks: array<u32, lanes>;
var<workgroup> lane_indices: array<u32, lanes>;
var<workgroup> lane_tallies: array<vec4<f32>, lanes>;
var<workgroup> lane_masses: array<f32, lanes>;
var<workgroup> chosen: u32;

fn weight_of(bits: u32, most: f32) -> f32 {
  let exponent = max((bitcast<f32>(bits) - most) / TEMPERATURE, 2.0 * NEXT_TO_NOTHING);
  return select(exp(exponent), 0.0, exponent < NEXT_TO_NOTHING);
}

// Over the logits from each threshold on: their number, or the sum of their weights. The order of additions is the same for
// all thresholds, so a higher one never gives more.
fn tally(thresholds: vec4<u32>, counting: bool, most: f32, base: u32, lane: u32) -> vec4<f32> {
  var own = vec4<f32>(); // counts are exact: V is below 2²⁴
  for (var i = lane; i < V; i += lanes) {
    let bits = logits[base + i];
    var weight = 1.0;
    if (!counting) {
      weight = weight_of(bits, most);
    }
    own += select(vec4<f32>(), vec4<f32>(weight), vec4<u32>(ordered(bits)) >= thresholds);
  }
  lane_tallies[lane] = own;
  workgroupBarrier();
  for (var half = lanes / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      lane_tallies[lane] += lane_tallies[lane + half];
    }
    workgroupBarrier();
  }
  let total = lane_tallies[0];
  workgroupBarrier(); // everybody has read before the next tally writes
  return total;
}

// The highest threshold, `low` at least, from which on the tally still reaches `need`.
fn edge_of(low: u32, need: f32, counting: bool, most: f32, base: u32, lane: u32) -> u32 {
  var edge = 0u;
  for (var digit = 0u; digit < 16u; digit++) {
    let step = 1u << (30u - 2u * digit);
    let thresholds = max(vec4<u32>(edge) + step * vec4<u32>(1u, 2u, 3u, 3u), vec4<u32>(low));
    let reached = tally(thresholds, counting, most, base, lane) >= vec4<f32>(need);
    edge += step * select(select(select(0u, 1u, reached.x), 2u, reached.y), 3u, reached.z);
  }
  return max(edge, low);
}

@compute @workgroup_size(lanes)
fn sample_tokens(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = rows.first + group.x + group.y * groups.x;
  if (row >= rows.end) {
    return;
  }
  if (finished[row] != 0u) {
    return;
  }
  let base = row * V;

  // The largest logit and the lowest index that has it.
  var rank = 0u;
  var index = V - 1u;
  for (var i = lane; i < V; i += lanes) {
    let bits = logits[base + i];
    let own = select(ordered(bits), 0xffffffffu, (bits & 0x7fffffffu) > 0x7f800000u); // NaN of either sign on top
    if (own > rank) {
      rank = own;
      index = i;
    }
  }
  lane_ranks[lane] = rank;
  lane_indices[lane] = index;
  workgroupBarrier();
  for (var half = lanes / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      let other = lane_ranks[lane + half];
      let other_index = lane_indices[lane + half];
      if (other > lane_ranks[lane] || (other == lane_ranks[lane] && other_index < lane_indices[lane])) {
        lane_ranks[lane] = other;
        lane_indices[lane] = other_index;
      }
    }
    workgroupBarrier();
  }
  let largest = workgroupUniformLoad(&lane_ranks[0]);
  let best = workgroupUniformLoad(&lane_indices[0]);
  if (largest < LOWEST || largest >= INFINITE) {
    if (lane == 0u) {
      next_ids[row] = NO_TOKEN;
    }
    return;
  }
  if (GREEDY) {
    if (lane == 0u) {
      next_ids[row] = best;
    }
    return;
  }
  let most = bitcast<f32>(logits[base + best]);

  var threshold = LOWEST;
  if (TOP_K > 0u && TOP_K < V) {
    threshold = edge_of(threshold, f32(TOP_K), true, most, base, lane);
  }
  if (TOP_P < 1.0) {
    let whole = tally(vec4<u32>(threshold), false, most, base, lane).x;
    threshold = edge_of(threshold, TOP_P * whole, false, most, base, lane);
  }

  // Each lane weighs a run of neighbouring tokens; the running sums of the lanes tile [0, total).
  let run = (V + lanes - 1u) / lanes;
  let from_index = min(lane * run, V);
  let to_index = min(from_index + run, V);
  var own = 0.0;
  for (var i = from_index; i < to_index; i++) {
    let bits = logits[base + i];
    if (ordered(bits) >= threshold) {
      own += weight_of(bits, most);
    }
  }
  lane_masses[lane] = own;
  if (lane == 0u) {
    chosen = best;
  }
  workgroupBarrier();
  var start = 0.0;
  var total = 0.0;
  for (var other = 0u; other < lanes; other++) {
    start = select(start, total, other == lane);
    total += lane_masses[other];
  }
  let draw = unit_float(threefry2x32(vec2<u32>(state[0], state[1]), vec2<u32>(sequences[row], output_count[row])).x);
  // A draw of exactly 0 stands for [0, 2⁻²⁴) and must not take a token of next to no probability; and rounding must not push
  // the mark to the total itself: one step below it at most.
  let mark = min(max(draw, 0x1p-25) * total, bitcast<f32>(bitcast<u32>(total) - 1u));
  if (start <= mark && mark < start + own) {
    var sum = 0.0;
    var token = best;
    for (var i = from_index; i < to_index; i++) {
      let bits = logits[base + i];
      if (ordered(bits) >= threshold) {
        let weight = weight_of(bits, most);
        sum += weight;
        if (weight > 0.0) {
          token = i;
        }
        if (start + sum > mark) {
          break;
        }
      }
    }
    chosen = token;
  }
  workgroupBarrier();
  if (lane == 0u) {
    next_ids[row] = chosen;
  }
}
