// interrupt.ts: what Ctrl-C (or a kill that asks) does to work that can be resumed: a checkpoint first, then the end. It
// starts and saves nothing itself.
import type { SessionApi } from '../session/protocol';
import type { Output } from './output';

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** One Ctrl-C may arrive twice: from the terminal, and from the launcher or npm, which had it as well. */
const SAME_INTERRUPT_MS = 1000;

/** Ctrl-C once: the work is asked to end in order, `first` says how. Twice: the process ends at once. */
export function stopOnInterrupt(
  session: Pick<SessionApi, 'stop'>,
  output: Output,
  first = 'writing a checkpoint',
): () => void {
  let askedAt: number | undefined;
  const onInterrupt = (): void => {
    const now = performance.now();
    if (askedAt !== undefined && now - askedAt > SAME_INTERRUPT_MS) process.exit(130);
    if (askedAt !== undefined) return;
    askedAt = now;
    output.note(`stopping: ${first} (Ctrl-C again ends at once)`);
    session.stop().catch((error: unknown) => output.error(error));
  };
  for (const signal of INTERRUPTS) process.on(signal, onInterrupt);
  return () => {
    for (const signal of INTERRUPTS) process.off(signal, onInterrupt);
  };
}
