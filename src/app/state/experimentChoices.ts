// experimentChoices.ts: the experiments that a person can choose from: presets, the project's experiment files, and those saved in
// this browser. Documents only: nothing is checked, changed or run here.
import { checkExperiment } from '../../config/experiment';
import { localPaths } from '../../config/paths';
import { preset, PRESET_NAMES } from '../../config/presets';

export interface ExperimentChoice {
  id: string;
  label: string;
  document: unknown;
  /** False where every file is served with the page. */
  needsData: boolean;
  /** Saved in this browser: other browsers do not have it. */
  own: boolean;
}

export const DEFAULT_EXPERIMENT = 'lesson';

/** The experiment files of the project, bundled with the page. */
const bundled = import.meta.glob<unknown>('../../../experiments/*.json', { eager: true, import: 'default' });

/** Whether an experiment reads files that the page does not have. */
export function needsData(document: unknown, own: boolean): boolean {
  if (!own) return JSON.stringify(document).includes('{data}');
  const { experiment } = checkExperiment(document);
  return experiment === undefined || localPaths(experiment).length > 0;
}

export function nameOf(document: unknown, otherwise: string): string {
  const name = (document as { name?: unknown } | null)?.name;
  return typeof name === 'string' && name !== '' ? name : otherwise;
}

export function bundledChoices(): ExperimentChoice[] {
  const files = Object.entries(bundled).map(([path, document]) => {
    const id = (path.split('/').at(-1) ?? path).replace(/\.json$/, '');
    return { id, label: nameOf(document, id), document, needsData: needsData(document, false), own: false };
  });
  const presets = PRESET_NAMES.map((name) => {
    const document = preset(name);
    const label = name === DEFAULT_EXPERIMENT ? document.name : `Preset: ${document.name}`;
    return { id: name, label, document, needsData: needsData(document, false), own: false };
  });
  // What runs as it is comes first, the default before everything.
  const rank = (choice: ExperimentChoice): number => (choice.id === DEFAULT_EXPERIMENT ? 0 : choice.needsData ? 2 : 1);
  return [...files, ...presets].sort((a, b) => rank(a) - rank(b));
}
