// process.ts: the command line as a process of its own, as a person runs it; and a run whose browser is killed under it.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tinyExperiment, tinyFiles } from '../unit/session/tinyRun';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Ended {
  code: number;
  out: string;
  err: string;
  /** The JSON lines of stdout. */
  lines: Record<string, unknown>[];
  durationMs: number;
}

/** Runs `pupil` to its end. `onLine` sees each JSON line as it comes. */
export function pupil(
  args: readonly string[],
  options: { env?: Record<string, string>; onLine?: (line: Record<string, unknown>) => void } = {},
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
        options.onLine?.(line);
      }
    });
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.on('exit', (code) => resolve({ code: code ?? -1, out, err, lines, durationMs: performance.now() - startMs }));
  });
}

/** Writes the tiny run's files and experiment into a folder; returns the experiment's path. */
export function writeTinyRun(folder: string): string {
  for (const [name, bytes] of Object.entries(tinyFiles())) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
  const path = join(folder, 'tiny.json');
  writeFileSync(path, JSON.stringify(tinyExperiment()));
  return path;
}

/** Kills every process of the browser whose profile lies in the run's folder, as the kernel would: without a word. */
function killBrowser(out: string): void {
  spawnSync('pkill', ['-KILL', '-f', '--', join(out, '.profile')]);
}

export function adapterBytes(out: string): Buffer {
  return readFileSync(join(out, 'adapters/self-refine/adapter_model.safetensors'));
}

export interface KilledRun {
  /** At which point of the run each kill fell: the number of JSON lines seen, and the last one's type. */
  kills: string[];
  /** Sittings until it finished. */
  sittings: number;
  last: Ended;
}

/**
 * Starts the run, kills its browser after `killAfterLines[i]` lines of sitting i, resumes, and at last lets it finish.
 * A sitting that finishes before its kill is the end.
 */
export async function runWithKills(
  experiment: string,
  out: string,
  killAfterLines: readonly number[],
): Promise<KilledRun> {
  const kills: string[] = [];
  for (let sitting = 0; ; sitting++) {
    const limit = killAfterLines[sitting] ?? Infinity;
    let seen = 0;
    const ended = await pupil(['run', experiment, '--out', out, '--json', ...(sitting === 0 ? [] : ['--resume'])], {
      onLine: (line) => {
        if (++seen !== limit) return;
        kills.push(`line ${seen}: ${String(line.type)} ${String(line.phase ?? '')}`);
        killBrowser(out);
      },
    });
    if (ended.code === 0 || seen < limit || sitting > killAfterLines.length) {
      return { kills, sittings: sitting + 1, last: ended };
    }
  }
}
