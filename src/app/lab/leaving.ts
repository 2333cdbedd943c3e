// leaving.ts: what happens when a person leaves the page while a run goes on: the browser asks first, and while it asks a
// checkpoint is written. Where it does not ask, nothing is lost but the work since the last checkpoint.
import type { RunView } from '../state/run.svelte';

/** The part of a window that is used. */
type Leavable = Pick<Window, 'addEventListener' | 'removeEventListener'>;

/** @returns what ends it. */
export function guardLeaving(
  run: Pick<RunView, 'active' | 'state' | 'command'>,
  target: Leavable = window,
): () => void {
  const ask = (event: Event): void => {
    if (!run.active) return;
    event.preventDefault();
    if (run.state !== 'running') return; // a pause has saved already
    // A pause saves before it holds. Timers stand still while the browser asks: this one fires if the person stays.
    void run.command('pause');
    setTimeout(() => void run.command('resume'), 0);
  };
  target.addEventListener('beforeunload', ask);
  return () => target.removeEventListener('beforeunload', ask);
}
