// pupil.ts: the command line's entry: gives program.ts its arguments and ends the process, since Dawn and a browser's pipe
// keep Node's event loop alive. A signal that no verb takes, or the end of the launcher (scripts/pupil.mjs), ends it in
// order: what listens for `exit` ends the browser and removes temporary folders.
import { constants } from 'node:os';
import { main } from './program';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    const taken = process.listenerCount(signal) > 1; // `run` writes a checkpoint first
    if (!taken) process.exit(128 + constants.signals[signal]);
  });
}
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
process.exit(await main(process.argv.slice(2)));
