// systemNames.ts: what a run's students are called in talk, where no table needs their full names.
import type { SystemName } from '../session/protocol';

export const SYSTEM_SHORT: Readonly<Record<SystemName, string>> = {
  Baseline: 'Untouched',
  'Instruction-tuned': 'Instructed',
  'Instruction-tuned, more steps': 'Instructed for longer',
  'Self-refined': 'Self-refined',
};
