// killedAsking.test.ts: `pupil teach` and `pupil judge` as processes of their own, killed (SIGKILL) in the middle of asking a
// server, again and again: what was answered and kept is never asked again, and the end is that of an undisturbed command.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildIfStale, ROOT } from '../../scripts/build.mjs';
import { FakeApi } from '../support/fakeApi';
import { startFakeServer, type FakeServer } from '../support/fakeServer';
import { expectKeyNowhere } from '../support/keySearch';

const KEY = 'sk-test-ABCDEFGH/ijkl+0123456789';
const REQUESTS = 24;
const AT_ONCE = 3;
const KILLS = 3;

let folder: string;
let server: FakeServer;
let api: FakeApi;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-killed-asking-'));
  buildIfStale('cli');
  api = new FakeApi({
    fault: (n) => (n % 3 === 0 ? 'ok-slow' : 'ok'),
    now: () => Date.now(),
    longMs: 1e9,
    // The last line but for its trigger says whose question it is.
    idOf: (prompt) => prompt.replace(/\s+/g, ' ').slice(-120),
    answerTo: (id) => `So it is. The answer is ${id.length}. Rating: [[${1 + (id.length % 3)}]]`,
  });
  server = await startFakeServer(api, 3);
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
});

/** Answers that a cache holds whole: lines that are JSON with an answer in them. */
function keptIn(cache: string): number {
  if (!existsSync(cache)) return 0;
  const keys = new Set<string>();
  for (const line of readFileSync(cache, 'utf8').split('\n')) {
    try {
      const { key, text } = JSON.parse(line) as { key: string; text: string };
      if ((JSON.parse(text) as { outcome?: { kind: string } }).outcome?.kind === 'answer') keys.add(key);
    } catch {
      // torn by the kill
    }
  }
  return keys.size;
}

/** Runs the built command line; it is killed once the server has delivered so many more answers. */
function run(args: readonly string[], killAfter = Infinity): Promise<{ code: number | null; said: string }> {
  const delivered = (): number => [...api.delivered.values()].reduce((a, b) => a + b, 0);
  const before = delivered();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(ROOT, 'dist/cli/pupil.js'), ...args], {
      env: { ...process.env, TEST_KEY: KEY },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const watch = setInterval(() => {
      if (delivered() - before >= killAfter) child.kill('SIGKILL');
    }, 5);
    child.on('exit', (code) => {
      clearInterval(watch);
      resolve({ code, said });
    });
  });
}

const common = (out: string): string[] => [
  ...['--base-url', server.base, '--model', 'big', '--key-env', 'TEST_KEY', '--concurrency', String(AT_ONCE)],
  ...['--out', out],
];

function writePredictions(): string {
  const run = join(folder, 'run');
  mkdirSync(run);
  const rows = Array.from({ length: REQUESTS }, (_, n) => ({
    ...{ system: 'Self-refined', taskId: 'C', prompt: 'cot', itemId: `C-${n}`, target: 'B' },
    ...{ question: `What is ${n}?`, text: `It is ${'x'.repeat(n)}.` },
  }));
  writeFileSync(join(run, 'predictions.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return run;
}

it.each(['teach', 'judge'] as const)(
  'pupil %s killed in the middle loses nothing',
  { timeout: 300_000 },
  async (verb) => {
    const args =
      verb === 'teach'
        ? ['teach', '--task', 'lesson-sums', '--files', `lesson:sums/train?count=${REQUESTS}&seed=3`]
        : ['judge', writePredictions()];
    const undisturbed = join(folder, `${verb}-undisturbed.jsonl`);
    if (verb === 'judge') mkdirSync(join(folder, 'killed'));
    const out = join(folder, verb === 'judge' ? 'killed' : '.', `${verb}.jsonl`);
    const cache = out.replace('.jsonl', '.cache.jsonl');
    expect(await run([...args, ...common(undisturbed)])).toMatchObject({ code: 0 });

    const said: string[] = [];
    for (let kill = 1; kill <= KILLS; kill++) {
      const [kept, asked] = [keptIn(cache), api.asked.length];
      const killed = await run([...args, ...common(out)], 4);
      said.push(killed.said);
      expect(killed.code).toBeNull(); // a signal
      expect(existsSync(out)).toBe(false);
      const fresh = api.asked.slice(asked);
      expect(fresh.length).toBeGreaterThanOrEqual(4);
      // No question twice in a sitting, and at most those under way were asked in vain.
      expect(new Set(fresh.map(({ id }) => id)).size).toBe(fresh.length);
      expect(keptIn(cache)).toBeGreaterThan(kept);
      expect(fresh.length - (keptIn(cache) - kept)).toBeLessThanOrEqual(AT_ONCE);
    }
    const [kept, asked] = [keptIn(cache), api.asked.length];
    expect(kept).toBeLessThan(REQUESTS);
    const last = await run([...args, ...common(out)]);
    expect(last.code).toBe(0);
    expect(api.asked.length - asked).toBe(REQUESTS - kept);
    expect(readFileSync(out, 'utf8')).toBe(readFileSync(undisturbed, 'utf8'));
    expectKeyNowhere(KEY, folder, last.said, ...said);
  },
);
