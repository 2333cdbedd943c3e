// panel_four_lanes.wgsl (prelude, after left_*): 8 rows of the left operand, spread over a subgroup of 4 lanes and handed round.
// Lane l of vector i holds row 4·i + l. Only where every subgroup has exactly 4 lanes.

const LANES = 4u;

struct Panel {
  a0: vec4<f32>,
  a1: vec4<f32>,
}

// Four columns of rows first … first + 7, none past `last`.
fn load_panel(first: u32, last: u32, lane: u32, column4: u32) -> Panel {
  return Panel(
    left4(min(first + 0u + lane, last), column4),
    left4(min(first + 4u + lane, last), column4),
  );
}

fn row0(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 0u); }
fn row1(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 1u); }
fn row2(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 2u); }
fn row3(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 3u); }
fn row4(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a1, 0u); }
fn row5(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a1, 1u); }
fn row6(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a1, 2u); }
fn row7(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a1, 3u); }

// 16 neighbouring columns of one row of the left operand: lane l holds columns 4·(l mod 4) … + 3.
fn load_strip(row: u32, column4: u32, lane: u32) -> vec4<f32> {
  return left4(row, min(column4 + (lane % 4u), (LEFT_WIDTH - 1u) / 4u));
}
