// runControls.svelte.ts: what can be done with the run at this moment: one state machine for the buttons, their keys and their
// words. It computes nothing of a run and shows nothing.
import type { Playground } from '../state/playground.svelte';

/**
 * idle → preparing → running ⇄ pausing → paused ⇄ stepping; from each of these → stopping → ended, or → ended by itself.
 */
export type RunMode = 'idle' | 'preparing' | 'running' | 'pausing' | 'paused' | 'stepping' | 'stopping' | 'ended';

export interface RunAction {
  id: 'main' | 'step' | 'phase-end' | 'stop' | 'resume-stored' | 'report';
  label: string;
  /** What it does, for the button's title and the help. */
  help: string;
  /** `event.key`. */
  key: string;
  enabled: boolean;
  primary?: boolean;
  /** For a switch. */
  pressed?: boolean;
  act(): void;
}

/** Keys with their meanings, for the help; an action is only there while it makes sense. */
export const RUN_KEYS: readonly { key: string; does: string }[] = [
  { key: 'r', does: 'Run; pause; resume' },
  { key: 's', does: 'One step, while paused' },
  { key: 'e', does: 'Stop at the end of the phase, or not after all' },
  { key: 'x', does: 'Stop now, with a checkpoint' },
  { key: 'c', does: 'Resume the run that is shown, from its last checkpoint' },
  { key: 'o', does: 'Open its report' },
];

const SHORTCUTS = 'pupil-run-keys';

export class RunControls {
  /** Single keys act; who types with voice or a switch turns them off (WCAG 2.1.4). */
  keys = $state(true);

  constructor(
    private readonly playground: Playground,
    private readonly memory: Pick<Storage, 'getItem' | 'setItem'> | undefined,
  ) {
    this.keys = memory?.getItem(SHORTCUTS) !== 'no';
  }

  readonly mode = $derived.by((): RunMode => {
    const { run, preparing } = this.playground;
    if (preparing) return 'preparing';
    if (!run.active) return run.state === 'idle' ? 'idle' : 'ended';
    if (run.pending === 'stop') return 'stopping';
    if (run.pending === 'step') return 'stepping';
    if (run.state === 'paused') return 'paused';
    return run.pending === 'pause' ? 'pausing' : 'running';
  });

  /** The state in words. */
  readonly words = $derived.by(() => {
    const { run } = this.playground;
    switch (this.mode) {
      case 'idle':
        return '';
      case 'preparing':
        return 'reading files …';
      case 'pausing':
        return 'pausing: the present step or batch is finished and saved first';
      case 'stepping':
        return 'one step …';
      case 'stopping':
        return 'stopping: a checkpoint is written';
      default:
        return run.state;
    }
  });

  /** Whether the run that is shown rests, unfinished, with something to go on from. */
  readonly resumable = $derived.by(() => {
    const { run, stored } = this.playground;
    if (run.active || run.runId === '' || run.state === 'finished') return false;
    return stored.runs.some(({ runId }) => runId === run.runId);
  });
  /** It goes on in another tab. */
  readonly heldElsewhere = $derived.by(() => {
    const { run, stored } = this.playground;
    return !run.active && stored.held.has(run.runId);
  });

  readonly actions = $derived.by((): RunAction[] => {
    const { playground, mode } = this;
    const { run } = playground;
    const actions: RunAction[] = [this.main()];
    if (run.active) {
      actions.push(
        {
          id: 'step',
          label: 'Step',
          help: 'One optimiser step, or one batch of answers; while paused',
          key: 's',
          enabled: mode === 'paused',
          act: () => void run.command('step'),
        },
        {
          id: 'phase-end',
          label: 'Stop at phase end',
          help: 'The run ends after the present phase, with a checkpoint; press again to let it go on',
          key: 'e',
          enabled: mode !== 'stopping',
          pressed: run.stopsAtPhaseEnd,
          act: () => void run.stopAtPhaseEnd(!run.stopsAtPhaseEnd),
        },
        {
          id: 'stop',
          label: mode === 'stopping' ? 'Stopping …' : 'Stop now',
          help: 'Writes a checkpoint; the run can be resumed',
          key: 'x',
          enabled: mode !== 'stopping',
          act: () => void run.command('stop'),
        },
      );
      return actions;
    }
    if (this.resumable) {
      actions.push({
        id: 'resume-stored',
        label: 'Resume this run',
        help: 'From its last checkpoint; the steps since then are done again, to the same numbers',
        key: 'c',
        enabled: playground.idle && !this.heldElsewhere,
        act: () => void playground.resumeRun(run.runId),
      });
    }
    if (run.summary?.artefacts.includes('report.html') === true) {
      actions.push({
        id: 'report',
        label: 'Open report',
        help: 'A page of its own, with everything in it',
        key: 'o',
        enabled: true,
        act: () => void playground.openReport(run.runId),
      });
    }
    return actions;
  });

  /** One button whatever it does: a button that goes away takes the keyboard's place on the page with it. */
  private main(): RunAction {
    const { playground, mode } = this;
    const { run } = playground;
    const base = { id: 'main', key: 'r', primary: true } as const;
    if (mode === 'paused' || mode === 'stepping') {
      return {
        ...base,
        label: 'Resume',
        help: 'Goes on where it was paused',
        enabled: true,
        act: () => void run.command('resume'),
      };
    }
    if (run.active) {
      const pausing = mode === 'pausing';
      return {
        ...base,
        label: pausing ? 'Pausing …' : 'Pause',
        help: pausing ? 'Press again to let it go on' : 'After the present step or batch; a checkpoint is written',
        enabled: mode !== 'stopping',
        act: () => void run.command(pausing ? 'resume' : 'pause'),
      };
    }
    return {
      ...base,
      label: playground.preparing ? 'Reading files …' : 'Run',
      help: 'The experiment as it is set up, as a new run',
      enabled: playground.canRun,
      act: () => void playground.startRun(),
    };
  }

  allowKeys(on: boolean): void {
    this.keys = on;
    try {
      this.memory?.setItem(SHORTCUTS, on ? 'yes' : 'no');
    } catch {
      // It holds until the page is left.
    }
  }

  /** Acts on a key that was pressed nowhere in particular; true where it meant something. */
  press(event: KeyboardEvent): boolean {
    if (!this.keys || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented)
      return false;
    if (event.target instanceof Element && event.target.closest('input, textarea, select, [contenteditable]'))
      return false;
    const action = this.actions.find(({ key, enabled }) => enabled && key === event.key.toLowerCase());
    action?.act();
    return action !== undefined;
  }
}
