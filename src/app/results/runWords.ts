// runWords.ts: what a stored run is called in lists and on its page: its name, its state, the machine it ran on. Texts only.
import type { RunDetails, RunOverview, StoredRun } from '../../session/protocol';

/** What a person calls it, else its own name. */
export const titleOf = ({ label, name }: Pick<StoredRun, 'label' | 'name'>): string => label ?? name;

export const PHASE_WORDS: Readonly<Record<string, string>> = {
  load: 'loading',
  baseline: 'baselines',
  instruct: 'instruction-tuning',
  control: 'control',
  'generate-pairs': 'preference pairs',
  'self-refine': 'self-refine',
  evaluate: 'evaluation',
  report: 'report',
};

export type StateWord =
  'running' | 'paused' | 'running in another tab' | 'interrupted' | 'finished' | 'stopped' | 'failed';

/** A run that its last checkpoint calls running does so no more where no tab holds it. */
export function stateWord(run: StoredRun, place: { here: boolean; held: boolean }): StateWord {
  if (place.held && !place.here) return 'running in another tab';
  const unfinished = run.state === 'running' || run.state === 'paused';
  return unfinished && !place.here ? 'interrupted' : (run.state as StateWord);
}

/** `Chrome 141`, as far as a browser says it. */
function browserWord(userAgent: string): string {
  const [, name, version] =
    /(Edg|OPR|Firefox)\/(\d+)/.exec(userAgent) ??
    /(Chrome)\/(\d+)/.exec(userAgent) ??
    /Version\/()(\d+)[^]*Safari/.exec(userAgent) ??
    [];
  if (version === undefined) return userAgent.split(' ')[0] ?? '';
  const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', '': 'Safari' };
  return `${names[name ?? ''] ?? name} ${version}`;
}

/** `acme one · Chrome 141`; '' where nothing is known. */
export function machineWords({ environment }: Pick<RunOverview, 'environment'>): string {
  if (environment === undefined) return '';
  const { vendor, architecture, description, software, host, userAgent } = environment;
  const adapter = [...new Set([vendor, architecture].filter((text) => text !== ''))].join(' ') || description;
  const where = host === 'node' ? userAgent.replace(/^Node (\d+).*/, 'Node $1') : browserWord(userAgent);
  return [`${adapter}${software ? ' (software)' : ''}`, where].filter((text) => text !== '').join(' · ');
}

/** The last part of the student's path: `lesson`, `owner/name` of the Hub. */
export function studentWords({ student }: Pick<RunOverview, 'student'>): string {
  if (student === undefined) return '';
  return student.source.startsWith('hub:')
    ? student.source.slice(4)
    : (student.source.split('/').filter(Boolean).at(-1) ?? '');
}

/** Why a run cannot be resumed here; '' where it can. */
export function whyNotResumed(run: StoredRun, sizes: Pick<RunDetails, 'checkpointBytes'> | undefined): string {
  if (run.state === 'finished') return 'It has finished.';
  if (run.sizeBytes > 0 && sizes?.checkpointBytes !== 0) return '';
  return run.imported === undefined
    ? 'Its checkpoints are deleted.'
    : 'It came without a checkpoint: resume it where it was made, or import it with one.';
}
