// linearKernels.ts: the shaders of shaders/linear put together: which kernel computes a product in which way, the preludes
// it stands on, and the tile that one workgroup makes. It chooses nothing and dispatches nothing (linear.ts).
import { kernelSource, type KernelSource } from '../gpu/pipelines';
import type { LinearWeight } from './weights';
import enableF16Wgsl from '../../shaders/common/enable_f16.wgsl?raw';
import enableSubgroupsWgsl from '../../shaders/common/enable_subgroups.wgsl?raw';
import nf4CodebookWgsl from '../../shaders/common/nf4_codebook.wgsl?raw';
import nf4WeightWgsl from '../../shaders/common/nf4_weight.wgsl?raw';
import productWgsl from '../../shaders/linear/product.wgsl?raw';
import leftVec4Wgsl from '../../shaders/linear/left_vec4.wgsl?raw';
import leftScalarWgsl from '../../shaders/linear/left_scalar.wgsl?raw';
import leftTransposedWgsl from '../../shaders/linear/left_transposed.wgsl?raw';
import rightF32Vec4Wgsl from '../../shaders/linear/right_f32_vec4.wgsl?raw';
import rightF32ScalarWgsl from '../../shaders/linear/right_f32_scalar.wgsl?raw';
import rightF16Vec4Wgsl from '../../shaders/linear/right_f16_vec4.wgsl?raw';
import rightF16ScalarWgsl from '../../shaders/linear/right_f16_scalar.wgsl?raw';
import rightNf4Vec4Wgsl from '../../shaders/linear/right_nf4_vec4.wgsl?raw';
import rightNf4ScalarWgsl from '../../shaders/linear/right_nf4_scalar.wgsl?raw';
import rightPatchesWgsl from '../../shaders/linear/right_patches.wgsl?raw';
import outVec4Wgsl from '../../shaders/linear/out_vec4.wgsl?raw';
import outScalarWgsl from '../../shaders/linear/out_scalar.wgsl?raw';
import lanesFourWgsl from '../../shaders/linear/lanes_four.wgsl?raw';
import lanesEightWgsl from '../../shaders/linear/lanes_eight.wgsl?raw';
import panelWgsl from '../../shaders/linear/panel.wgsl?raw';
import panelColumnsWgsl from '../../shaders/linear/panel_columns.wgsl?raw';
import panelTermsWgsl from '../../shaders/linear/panel_terms.wgsl?raw';
import panelTermsNf4Wgsl from '../../shaders/linear/panel_terms_nf4.wgsl?raw';
import panelWordsNf4Wgsl from '../../shaders/linear/panel_words_nf4.wgsl?raw';
import tiledWgsl from '../../shaders/linear/tiled.wgsl?raw';
import tileFourRowsWgsl from '../../shaders/linear/tile_four_rows.wgsl?raw';
import tileEightRowsWgsl from '../../shaders/linear/tile_eight_rows.wgsl?raw';
import tileSixteenRowsWgsl from '../../shaders/linear/tile_sixteen_rows.wgsl?raw';
import forwardRegisterWgsl from '../../shaders/linear/linear_forward_register.wgsl?raw';
import backwardInputRegisterWgsl from '../../shaders/linear/linear_backward_input_register.wgsl?raw';
import backwardWeightRegisterWgsl from '../../shaders/linear/linear_backward_weight_register.wgsl?raw';
import forwardSubgroupWgsl from '../../shaders/linear/linear_forward_subgroup.wgsl?raw';
import backwardInputSubgroupWgsl from '../../shaders/linear/linear_backward_input_subgroup.wgsl?raw';
import backwardWeightSubgroupWgsl from '../../shaders/linear/linear_backward_weight_subgroup.wgsl?raw';
import nf4ForwardSubgroupWgsl from '../../shaders/linear/linear_nf4_forward_subgroup.wgsl?raw';
import forwardSubgroupFewRowsWgsl from '../../shaders/linear/linear_forward_subgroup_few_rows.wgsl?raw';
import forwardTiledWgsl from '../../shaders/linear/linear_forward_tiled.wgsl?raw';
import backwardInputTiledWgsl from '../../shaders/linear/linear_backward_input_tiled.wgsl?raw';
import backwardWeightTiledWgsl from '../../shaders/linear/linear_backward_weight_tiled.wgsl?raw';
import forwardFewRowsWgsl from '../../shaders/linear/linear_forward_few_rows.wgsl?raw';

/** The three products: y = x·Wᵀ, dX = dY·W, dW = dYᵀ·x. */
export type LinearOperation = 'forward' | 'backward_input' | 'backward_weight';

/** How a product is computed; the numbers agree to rounding, not bit for bit, so a run records the ones it used. */
export type LinearVariant = 'register' | 'subgroup' | 'subgroup_few_rows' | 'tiled' | 'few_rows';

/** Every variant, those included that an adapter may not offer. */
export const linearVariants: readonly LinearVariant[] = [
  'register',
  'subgroup',
  'subgroup_few_rows',
  'tiled',
  'few_rows',
];

/** Lanes of a subgroup for which the shaders exist. */
const LANES: Record<number, string> = { 4: lanesFourWgsl, 8: lanesEightWgsl };

export function subgroupLanesSupported(lanes: number): boolean {
  return lanes in LANES;
}

const KERNELS: Record<LinearVariant, Partial<Record<LinearOperation, string>>> = {
  register: {
    forward: forwardRegisterWgsl,
    backward_input: backwardInputRegisterWgsl,
    backward_weight: backwardWeightRegisterWgsl,
  },
  subgroup: {
    forward: forwardSubgroupWgsl,
    backward_input: backwardInputSubgroupWgsl,
    backward_weight: backwardWeightSubgroupWgsl,
  },
  subgroup_few_rows: { forward: forwardSubgroupFewRowsWgsl },
  tiled: {
    forward: forwardTiledWgsl,
    backward_input: backwardInputTiledWgsl,
    backward_weight: backwardWeightTiledWgsl,
  },
  few_rows: { forward: forwardFewRowsWgsl },
};

/** Whether a variant exists for an operation. */
export function variantExists(variant: LinearVariant, operation: LinearOperation): boolean {
  return KERNELS[variant][operation] !== undefined;
}

/** Rows and columns of the result that one workgroup makes. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
  /** Rows that one invocation owns, where the shader leaves it open. */
  readonly rowsPerLane?: 4 | 8 | 16;
}

/**
 * The tile for a result of so many rows. Tall tiles read (and decode) the weight less often; what they waste on a short
 * result, and what they cost to compile on eight lanes, sets the limits (bench/notes/linear.md).
 */
export function tileOf(variant: LinearVariant, lanes: number, rows: number): Tile {
  switch (variant) {
    case 'register':
      return { rows: 32, columns: 64, rowsPerLane: 4 };
    case 'subgroup': {
      const rowsPerLane = lanes === 8 || rows <= 16 ? 4 : rows < 128 ? 8 : 16;
      return { rows: rowsPerLane * lanes, columns: 16, rowsPerLane };
    }
    case 'subgroup_few_rows':
      return { rows: 8, columns: 8 * lanes, rowsPerLane: 8 };
    case 'tiled':
      return { rows: 128, columns: 64, rowsPerLane: 8 };
    case 'few_rows':
      return { rows: 4, columns: 4 };
  }
}

const TILES = { 4: tileFourRowsWgsl, 8: tileEightRowsWgsl, 16: tileSixteenRowsWgsl };

const RIGHT: Record<LinearWeight['kind'], { vec4: string[]; scalar: string[] }> = {
  f32: { vec4: [rightF32Vec4Wgsl], scalar: [rightF32ScalarWgsl] },
  f16: { vec4: [rightF16Vec4Wgsl], scalar: [rightF16ScalarWgsl] },
  nf4: {
    vec4: [nf4CodebookWgsl, nf4WeightWgsl, rightNf4Vec4Wgsl],
    scalar: [nf4CodebookWgsl, nf4WeightWgsl, rightNf4ScalarWgsl],
  },
};

/** What a kernel is put together from. */
export interface LinearParts {
  operation: LinearOperation;
  variant: LinearVariant;
  tile: Tile;
  /** Lanes of a subgroup; read by the subgroup variants only. */
  lanes: number;
  right: LinearWeight['kind'];
  /** Columns of the operands and of the result. */
  widths: { left: number; right: number; out: number };
}

/** How the subgroup variant fills its panels; an NF4 weight in whole words where its width allows, on four lanes. */
function panelOf({ operation, lanes, right, widths }: LinearParts): 'columns' | 'terms' | 'terms nf4' | 'words nf4' {
  const nf4 = right === 'nf4' && lanes === 4;
  if (operation === 'forward') return nf4 && widths.right % 8 === 0 ? 'words nf4' : 'columns';
  return nf4 && widths.right % 16 === 0 ? 'terms nf4' : 'terms';
}

const PANELS: Record<ReturnType<typeof panelOf>, string> = {
  columns: panelColumnsWgsl,
  terms: panelTermsWgsl,
  'terms nf4': panelTermsNf4Wgsl,
  'words nf4': panelWordsNf4Wgsl,
};

const sources = new Map<string, KernelSource>();

/** The kernel; parts that lead to the same text give the same source. */
export function linearSource(parts: LinearParts): KernelSource {
  const { operation, variant, tile, lanes, right, widths } = parts;
  const shared = variant === 'subgroup' || variant === 'subgroup_few_rows'; // among the lanes of a subgroup
  const panel = variant === 'subgroup' ? panelOf(parts) : undefined;
  const vec4 = { left: widths.left % 4 === 0, right: widths.right % 4 === 0, out: widths.out % 4 === 0 };
  const key = [
    operation,
    variant,
    tile.rowsPerLane,
    shared && lanes,
    right,
    vec4.left,
    vec4.right,
    vec4.out,
    panel,
  ].join();
  let found = sources.get(key);
  if (found === undefined) {
    const words = panel === 'words nf4';
    found = kernelSource(
      words ? 'linear_nf4_forward_subgroup' : `linear_${operation}_${variant}`,
      words ? nf4ForwardSubgroupWgsl : KERNELS[variant][operation]!,
      ...(shared ? [enableSubgroupsWgsl] : []),
      ...(right === 'f16' ? [enableF16Wgsl] : []),
      productWgsl,
      vec4.left ? leftVec4Wgsl : leftScalarWgsl,
      leftTransposedWgsl,
      ...RIGHT[right][vec4.right ? 'vec4' : 'scalar'],
      vec4.out ? outVec4Wgsl : outScalarWgsl,
      ...(shared ? [LANES[lanes]!] : []),
      ...(panel === undefined ? [rightPatchesWgsl] : [panelWgsl, PANELS[panel]]),
      ...(tile.rowsPerLane === undefined ? [] : [TILES[tile.rowsPerLane]]),
      ...(variant === 'tiled' ? [tiledWgsl] : []),
    );
    sources.set(key, found);
  }
  return found;
}
