// sample_tokens: the next token of every unfinished row: greedy, or drawn with temperature, top-k and top-p.
//   w_i = exp((logits[b, i] − max) / T);  support: the k largest logits, then the fewest of them whose Σ w reaches
//   p of the rest; token = smallest i with Σ_{j ≤ i} w_j > u · Σ w over the support, in index order.
//   u = unit_float(threefry((seed, stream), (sequence number, tokens generated so far))): whichever rows share the batch,
//   a sequence draws the same numbers.
// Source   top-p: Holtzman et al. 2020, arXiv:1904.09751, §3.1; order temperature, k, p as in transformers' generate.
// Shapes   logits (B, V) f32; sequences, finished, output_count, next_ids (B) u32; state (4) u32 = (seed, stream, 0, 0).
// Grid     one workgroup per row.
// Effect   WRITES next_ids of unfinished rows. Equal logits stand or fall together at the edge of top-k and top-p; GREEDY
//          takes the lowest index. Thresholds come from bisecting the 32 bits of the value: 32 passes over V, no sort.
// Pairs    kernels/sampling.ts · reference/sampling.ts · test/kernels/sampling.test.ts · preludes random, lane_reductions

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override V: u32;
override GREEDY: bool;
override TEMPERATURE: f32 = 1.0;
override TOP_K: u32 = 0u; // 0: all
override TOP_P: f32 = 1.0; // 1: all

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> sequences: array<u32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read> finished: array<u32>;
@group(0) @binding(5) var<storage, read> output_count: array<u32>;
@group(0) @binding(6) var<storage, read_write> next_ids: array<u32>;

const LOWEST = -3.4028234e38f;

var<workgroup> first_best: array<u32, lanes>;
var<workgroup> chosen: u32;

// Unsigned integers in the order of the floats; −0 equals 0.
fn ordered(x: f32) -> u32 {
  let raw = bitcast<u32>(x);
  let bits = select(raw, 0u, raw == 0x80000000u);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn count_from(threshold: u32, base: u32, lane: u32) -> f32 {
  var own = 0.0; // exact: V is below 2²⁴
  for (var i = lane; i < V; i += lanes) {
    own += select(0.0, 1.0, ordered(logits[base + i]) >= threshold);
  }
  return sum_over_lanes(lane, own);
}

fn mass_from(threshold: u32, most: f32, base: u32, lane: u32) -> f32 {
  var own = 0.0;
  for (var i = lane; i < V; i += lanes) {
    let x = logits[base + i];
    if (ordered(x) >= threshold) {
      own += exp((x - most) / TEMPERATURE);
    }
  }
  return sum_over_lanes(lane, own);
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
  var best = LOWEST;
  var best_index = V - 1u;
  for (var i = lane; i < V; i += lanes) {
    let x = logits[base + i];
    if (x > best) {
      best = x;
      best_index = i;
    }
  }
  let most = max_over_lanes(lane, best);
  first_best[lane] = select(V - 1u, best_index, best == most);
  workgroupBarrier();
  for (var half = lanes / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      first_best[lane] = min(first_best[lane], first_best[lane + half]);
    }
    workgroupBarrier();
  }
  if (GREEDY) {
    if (lane == 0u) {
      next_ids[row] = first_best[0];
    }
    return;
  }

  var threshold = 0u;
  if (TOP_K > 0u && TOP_K < V) {
    for (var bit = 0u; bit < 32u; bit++) {
      let candidate = threshold | (0x80000000u >> bit);
      if (count_from(candidate, base, lane) >= f32(TOP_K)) {
        threshold = candidate;
      }
    }
  }
  if (TOP_P < 1.0) {
    let enough = TOP_P * mass_from(threshold, most, base, lane);
    var edge = 0u;
    for (var bit = 0u; bit < 32u; bit++) {
      let candidate = edge | (0x80000000u >> bit);
      if (mass_from(max(candidate, threshold), most, base, lane) >= enough) {
        edge = candidate;
      }
    }
    threshold = max(threshold, edge);
  }

  // Each lane weighs a run of neighbouring tokens; the running sums of the lanes tile [0, total).
  let run = (V + lanes - 1u) / lanes;
  let from_index = min(lane * run, V);
  let to_index = min(from_index + run, V);
  var own = 0.0;
  for (var i = from_index; i < to_index; i++) {
    let x = logits[base + i];
    if (ordered(x) >= threshold) {
      own += exp((x - most) / TEMPERATURE);
    }
  }
  lane_values[lane] = own;
  if (lane == 0u) {
    chosen = first_best[0]; // stands only if a logit was NaN
  }
  workgroupBarrier();
  var start = 0.0;
  var total = 0.0;
  for (var other = 0u; other < lanes; other++) {
    start = select(start, total, other == lane);
    total += lane_values[other];
  }
  let draw = unit_float(threefry2x32(vec2<u32>(state[0], state[1]), vec2<u32>(sequences[row], output_count[row])).x);
  // Rounding must not push the mark to the total itself: one step below it at most.
  let mark = min(draw * total, bitcast<f32>(bitcast<u32>(total) - 1u));
  if (start <= mark && mark < start + own) {
    var sum = 0.0;
    var token = first_best[0];
    for (var i = from_index; i < to_index; i++) {
      let x = logits[base + i];
      if (ordered(x) >= threshold) {
        let weight = exp((x - most) / TEMPERATURE);
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
