// display.ts: a display without a screen (Xvfb) for a browser that finds its GPU only when it opens a window. Nothing is
// drawn on it that anybody sees.
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { PupilError } from '../base/errors';

export interface Display {
  /** As DISPLAY says it: `:7`. */
  readonly name: string;
  close(): void;
}

const START_MS = 15_000;

/** Starts Xvfb on a free number. @throws PupilError `browser` where it is not installed or does not start. */
export async function openDisplay(): Promise<Display> {
  // Xvfb picks a free number itself and writes it to the descriptor, so that two launchers never meet.
  const child = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const end = (): void => void child.kill();
  process.once('exit', end); // a signal ends this process without closing anything
  const close = (): void => {
    process.off('exit', end);
    end();
  };
  const timer = AbortSignal.timeout(START_MS);
  try {
    const number = await new Promise<string>((resolve, reject) => {
      let text = '';
      (child.stdio[3] as Readable).on('data', (data: Buffer) => {
        text += data.toString();
        if (text.includes('\n')) resolve(text.trim());
      });
      child.on('error', reject);
      child.on('exit', (status) => reject(new Error(`it ended with ${status ?? 'a signal'}`)));
      timer.addEventListener('abort', () => reject(new Error(`no display within ${START_MS / 1000} s`)));
    });
    return { name: `:${number}`, close };
  } catch (error) {
    close();
    throw new PupilError(
      'browser',
      `Xvfb: expected a display, ${error instanceof Error ? error.message : String(error)}`,
      'sudo apt-get install xvfb',
      { cause: error },
    );
  }
}
