// systems.ts: which students a stored run left, by the adapters among its files.
import type { SessionApi, SystemName } from '../../session/protocol';

const TUNED: readonly [system: SystemName, folder: string][] = [
  ['Instruction-tuned', 'adapters/instruct/'],
  ['Instruction-tuned, more steps', 'adapters/control/'],
  ['Self-refined', 'adapters/self-refine/'],
];

/** The untouched student, and those that the run tuned. */
export async function systemsOf(session: SessionApi, runId: string | undefined): Promise<SystemName[]> {
  const paths = runId === undefined ? [] : await session.listArtefacts(runId);
  const tuned = TUNED.filter(([, folder]) => paths.some((path) => path.startsWith(folder)));
  return ['Baseline', ...tuned.map(([system]) => system)];
}
