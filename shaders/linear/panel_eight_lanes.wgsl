// panel_eight_lanes.wgsl (prelude, after left_*): 8 rows of the left operand, spread over a subgroup of 8 lanes and handed round.
// Lane l of vector i holds row 8·i + l. Only where every subgroup has exactly 8 lanes.

const LANES = 8u;

struct Panel {
  a0: vec4<f32>,
}

// Four columns of rows first … first + 7, none past `last`.
fn load_panel(first: u32, last: u32, lane: u32, column4: u32) -> Panel {
  return Panel(
    left4(min(first + 0u + lane, last), column4),
  );
}

fn row0(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 0u); }
fn row1(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 1u); }
fn row2(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 2u); }
fn row3(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 3u); }
fn row4(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 4u); }
fn row5(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 5u); }
fn row6(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 6u); }
fn row7(p: Panel) -> vec4<f32> { return subgroupBroadcast(p.a0, 7u); }

// 16 neighbouring columns of four rows of the left operand, for a weight's gradient.
struct Strip {
  a0: vec4<f32>,
  a1: vec4<f32>,
}

// Rows n … n + 3, zero past `last`; columns 4·column4 … + 15.
fn load_strip(n: u32, last: u32, lane: u32, column4: u32) -> Strip {
  let row = n + (lane & 3u);
  let inside = select(0.0, 1.0, row <= last);
  let most = (LEFT_WIDTH - 1u) / 4u;
  return Strip(
    inside * left4(min(row, last), min(column4 + 0u + (lane >> 2u), most)),
    inside * left4(min(row, last), min(column4 + 2u + (lane >> 2u), most)),
  );
}

fn term0_quad0(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a0, 0u); }
fn term1_quad0(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a0, 1u); }
fn term2_quad0(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a0, 2u); }
fn term3_quad0(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a0, 3u); }
fn term0_quad1(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a0, 4u); }
fn term1_quad1(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a0, 5u); }
fn term2_quad1(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a0, 6u); }
fn term3_quad1(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a0, 7u); }
fn term0_quad2(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a1, 0u); }
fn term1_quad2(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a1, 1u); }
fn term2_quad2(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a1, 2u); }
fn term3_quad2(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a1, 3u); }
fn term0_quad3(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a1, 4u); }
fn term1_quad3(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a1, 5u); }
fn term2_quad3(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a1, 6u); }
fn term3_quad3(s: Strip) -> vec4<f32> { return subgroupBroadcast(s.a1, 7u); }
