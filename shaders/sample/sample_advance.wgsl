// sample_advance: book-keeping behind sample_tokens: emits each row's token, stops rows, says where the token goes.
//   unfinished row b: output[b, output_count[b]++] = next_ids[b]; next_positions[b] = lengths[b]++;
//   next_slots[b] = cache_starts[b] + next_positions[b]; finished[b] = 1 at an end token, 2 when MAX_NEW tokens are out or the
//   cache is full. An end token is emitted as well.
//   no token (0xffffffff, logits that are not finite): finished[b] = 3, nothing is emitted, and next_ids[b] = 0.
//   finished row: emits nothing, keeps its id, length and count; its position and slot stay those of its last token.
// Shapes   next_ids, lengths, finished, output_count, next_positions, next_slots, cache_starts (B) u32; output (B·MAX_NEW) u32.
// Grid     one invocation per row.
// Effect   UPDATES in place.
// Pairs    kernels/sampling.ts · reference/sampling.ts · test/kernels/sampling.test.ts

struct RowSlice { first: u32, end: u32, count: u32, capacity: u32 }

override MAX_NEW: u32;
override CAPACITY: u32;
// End tokens; 0xffffffff is none.
override EOS0: u32 = 0xffffffffu;
override EOS1: u32 = 0xffffffffu;
override EOS2: u32 = 0xffffffffu;
override EOS3: u32 = 0xffffffffu;
override EOS4: u32 = 0xffffffffu;
override EOS5: u32 = 0xffffffffu;
override EOS6: u32 = 0xffffffffu;
override EOS7: u32 = 0xffffffffu;

const NO_TOKEN = 0xffffffffu;

@group(0) @binding(0) var<uniform> rows: RowSlice;
@group(0) @binding(1) var<storage, read_write> next_ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> finished: array<u32>;
@group(0) @binding(4) var<storage, read_write> output: array<u32>;
@group(0) @binding(5) var<storage, read_write> output_count: array<u32>;
@group(0) @binding(6) var<storage, read_write> next_positions: array<u32>;
@group(0) @binding(7) var<storage, read_write> next_slots: array<u32>;
@group(0) @binding(8) var<storage, read> cache_starts: array<u32>;

fn ends(id: u32) -> bool {
  return id == EOS0 || id == EOS1 || id == EOS2 || id == EOS3 || id == EOS4 || id == EOS5 || id == EOS6 || id == EOS7;
}

@compute @workgroup_size(64)
fn sample_advance(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = rows.first + id.x + id.y * groups.x * 64u;
  if (row >= rows.end) {
    return;
  }
  let length = lengths[row];
  var position = max(length, 1u) - 1u;
  let token = next_ids[row];
  if (finished[row] == 0u && token == NO_TOKEN) {
    finished[row] = 3u;
    next_ids[row] = 0u;
  } else if (finished[row] == 0u) {
    let emitted = output_count[row];
    if (emitted < MAX_NEW) {
      output[row * MAX_NEW + emitted] = token;
      output_count[row] = emitted + 1u;
    }
    if (ends(token)) {
      finished[row] = 1u;
    } else if (emitted + 1u >= MAX_NEW || length >= CAPACITY) {
      finished[row] = 2u;
    }
    position = length;
    lengths[row] = min(length + 1u, CAPACITY);
  }
  position = min(position, CAPACITY - 1u);
  next_positions[row] = position;
  next_slots[row] = cache_starts[row] + position;
}
