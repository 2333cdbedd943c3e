// lanes_eight.wgsl (prelude): how many lanes share a tile. Only where every subgroup has exactly 8.

const LANES = 8u;
