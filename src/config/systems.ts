// systems.ts: what the students of a run are called, wherever they are told apart: events, tables, predictions, and a series
// that names them. Only the names.

/** In the order of the paper's rows; the control stands before what it is a control for. */
export const SYSTEM_NAMES = ['Baseline', 'Instruction-tuned', 'Instruction-tuned, more steps', 'Self-refined'] as const;
export type SystemName = (typeof SYSTEM_NAMES)[number];
