// lanes_four.wgsl (prelude): how many lanes share a tile. Only where every subgroup has exactly 4.

const LANES = 4u;
