// engineSource.ts: which experiment the engine's views look at: that of the run that is shown, else the one chosen in the Lab.
import type { FileRoot } from '../../session/protocol';
import type { Playground } from '../state/playground.svelte';
import type { Needs } from '../state/runPlaces.svelte';
import { insideRunOf } from './insideRun.svelte';

export interface EngineSource {
  experiment: unknown;
  files: FileRoot;
  runId?: string;
}

/** @throws PupilError where this browser has kept no experiment of the run, or the chosen one is not complete */
export async function engineSource(playground: Playground, needs: Needs): Promise<EngineSource> {
  const inside = insideRunOf(playground);
  if (inside.runId !== '') return { ...(await inside.source(needs)), runId: inside.runId };
  const { experiment, files } = await playground.experiments.prepare(playground.pageBase);
  return { experiment, files };
}

/** In words, for headings. */
export function sourceWords(playground: Playground): string {
  const { runId, options } = insideRunOf(playground);
  const known = options.find((one) => one.runId === runId);
  return runId === '' ? 'the experiment chosen in the Lab' : `run ${known?.words ?? runId}`;
}
