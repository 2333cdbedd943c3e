// stored_chunk.wgsl (prelude): how many elements of a checkpoint's tensor lie in the chunk at hand, and which of them may not
// be taken. How an element is read is stored_f32, stored_f16 or stored_bf16. Both numbers travel with the bytes, so that
// chunks of any length share one pipeline.

struct Chunk {
  elements: u32,
  // 0, or 2^32 − 1 − index of the first element refused: a maximum of whole numbers, in whatever order it is taken.
  refused: atomic<u32>,
}
@group(0) @binding(1) var<storage, read_write> chunk: Chunk;

fn refuse(i: u32) {
  atomicMax(&chunk.refused, 0xffffffffu - i);
}
