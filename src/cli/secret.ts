// secret.ts: a secret typed at a terminal without being shown. Keys come from here or from the environment, never from a
// flag: flags stand in the shell's history and in the list of processes.
import type { ReadStream } from 'node:tty';
import { PupilError } from '../base/errors';

export type SecretInput = Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>;

/**
 * Asks, and reads up to Enter; nothing typed is echoed.
 * @throws PupilError `cancelled` after Ctrl-C or Ctrl-D.
 */
export function askSecret(
  question: string,
  input: SecretInput,
  output: Pick<NodeJS.WritableStream, 'write'>,
): Promise<string> {
  output.write(question);
  input.setRawMode(true);
  input.resume();
  return new Promise((resolve, reject) => {
    let typed = '';
    const end = (): void => {
      input.off('data', onData);
      input.setRawMode(false);
      input.pause();
      output.write('\n');
    };
    const onData = (chunk: Buffer | string): void => {
      for (const character of chunk.toString()) {
        if (character === '\r' || character === '\n') {
          end();
          resolve(typed);
          return;
        }
        if (character === '\u0003' || character === '\u0004') {
          end();
          reject(new PupilError('cancelled', 'teach: no key was given'));
          return;
        }
        if (character === '\u007f' || character === '\b') typed = [...typed].slice(0, -1).join('');
        else typed += character;
      }
    };
    input.on('data', onData);
  });
}
