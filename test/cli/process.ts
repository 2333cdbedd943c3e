// process.ts: the command line as a process of its own, as a person runs it.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Ended {
  code: number;
  out: string;
  err: string;
  /** The JSON lines of stdout. */
  lines: Record<string, unknown>[];
  durationMs: number;
}

/** Runs `pupil` to its end. `onLine` sees each JSON line as it comes, and may send the process a signal. */
export function pupil(
  args: readonly string[],
  options: {
    env?: Record<string, string>;
    onLine?: (line: Record<string, unknown>, signal: (name: NodeJS.Signals) => void) => void;
  } = {},
): Promise<Ended> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(ROOT, 'scripts/pupil.mjs'), ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    let out = '';
    let err = '';
    let unread = '';
    const lines: Record<string, unknown>[] = [];
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      unread += chunk.toString();
      const parts = unread.split('\n');
      unread = parts.pop()!;
      for (const part of parts) {
        if (!part.startsWith('{')) continue;
        const line = JSON.parse(part) as Record<string, unknown>;
        lines.push(line);
        options.onLine?.(line, (name) => child.kill(name));
      }
    });
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.on('exit', (code) => resolve({ code: code ?? -1, out, err, lines, durationMs: performance.now() - startMs }));
  });
}
