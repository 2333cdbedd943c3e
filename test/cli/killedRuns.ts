// killedRuns.ts: a short run of the whole method in headless Chrome, disturbed by killing the browser at random moments and
// resumed each time. It starts real processes through the built command line; the claims are in the tests that use it.
import { spawn } from 'node:child_process';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { buildIfStale, ROOT } from '../../scripts/build.mjs';
import { prototypeSmoke } from '../fixtures/prototypeSmoke';

export interface Outcome {
  code: number;
  /** Events on stdout. */
  events: number;
  err: string;
  killed: boolean;
}

/** Everything that the undisturbed and the disturbed run must agree on, byte for byte. */
export const COMPARED = [
  'adapters/instruct/adapter_model.safetensors',
  'adapters/self-refine/adapter_model.safetensors',
  'pairs.jsonl',
  'predictions.jsonl',
];

/** The prototype's short run, cut to what a resumed run can get wrong: both trainings, sampling, pairs, evaluation; a checkpoint every step. */
export function writeShortExperiment(folder: string): string {
  const smoke = prototypeSmoke();
  const { instruct, selfRefine } = smoke.phases;
  if (instruct === false || selfRefine === false) throw new Error('expected both phases');
  const lesson = path.join(ROOT, 'test/fixtures/lesson');
  const absolute = (file: string): string => path.join(lesson, file.split('/fixtures/lesson/')[1] ?? file);
  const experiment = {
    ...smoke,
    name: 'Killed run',
    student: {
      ...smoke.student,
      source: { kind: 'directory', path: absolute('student-p10') },
      tokenizer: { kind: 'words', path: absolute('vocab.json') },
    },
    adapter: { ...smoke.adapter, dropout: 0.1 }, // so that its random numbers are resumed as well
    tasks: smoke.tasks.map((task) => ({
      ...task,
      files: { train: [absolute('task-C-train-in-seed0.jsonl')], test: [absolute('task-C-test.jsonl')] },
      split: { ...task.split, trainCount: 8, testLimit: 2 },
    })),
    demonstrations: smoke.demonstrations.map((entry) => ({ ...entry, files: entry.files.map(absolute) })),
    phases: {
      baseline: false,
      instruct: { ...instruct, maxSteps: 4 },
      selfRefine: { ...selfRefine, maxSteps: 3, sampling: { ...selfRefine.sampling, maxNewTokens: 24, batchSize: 4 } },
    },
    evaluation: { ...smoke.evaluation, prompts: ['cot'], maxNewTokens: 12, probing: false },
    limits: { checkpointEverySteps: 1 },
  };
  const file = path.join(folder, 'experiment.json');
  writeFileSync(file, JSON.stringify(experiment));
  return file;
}

/** Builds what the runs need; separate from them, since others may be editing the sources. */
export function buildForRuns(): void {
  buildIfStale('page');
  buildIfStale('cli');
}

/** The browser's process: Chrome keeps `host-pid` in a link in its profile. */
function browserPid(out: string): number {
  return Number(
    readlinkSync(path.join(out, '.profile', 'SingletonLock'))
      .split('-')
      .at(-1),
  );
}

/** Runs or resumes; with `killAfter`, the browser is killed that many events (and so many milliseconds) later. */
export function runOnce(
  experiment: string,
  out: string,
  options: { resume: boolean; killAfter?: { events: number; ms: number } },
): Promise<Outcome> {
  // Resumed by hand, not relaunched: that is supervisedFaults.test.ts.
  const flags = ['--json', '--gpu', 'software', '--retries', '0'];
  const args = [path.join(ROOT, 'dist/cli/pupil.js'), 'run', experiment, '--out', out, ...flags];
  const child = spawn(process.execPath, options.resume ? [...args, '--resume'] : args, { cwd: ROOT });
  let events = 0;
  let err = '';
  let killed = false;
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  createInterface(child.stdout).on('line', () => {
    events++;
    const at = options.killAfter;
    if (at === undefined || events !== at.events) return;
    setTimeout(() => {
      if (child.exitCode !== null) return;
      killed = true;
      process.kill(browserPid(out), 'SIGKILL');
    }, at.ms);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 128, events, err, killed }));
  });
}

/** A disturbed run: killed `times` times at random moments, then resumed to its end. */
export async function runKilled(
  experiment: string,
  out: string,
  times: number,
  eventsOfWholeRun: number,
): Promise<{ kills: Outcome[]; last: Outcome; moments: string[] }> {
  const kills: Outcome[] = [];
  const moments: string[] = [];
  // Random within one part of the run each; one part is left over, so that the last kill comes before the end.
  while (kills.length < times) {
    const events = 1 + Math.floor((Math.random() * eventsOfWholeRun) / (times + 1));
    const ms = Math.floor(Math.random() * 300);
    moments.push(`${events} events + ${ms} ms`);
    const outcome = await runOnce(experiment, out, { resume: kills.length > 0, killAfter: { events, ms } });
    if (!outcome.killed) return { kills, last: outcome, moments }; // it was faster than we: told by the caller
    kills.push(outcome);
  }
  return { kills, last: await runOnce(experiment, out, { resume: true }), moments };
}

/** The bytes that are compared. */
export function results(out: string): Record<string, string> {
  return Object.fromEntries(COMPARED.map((file) => [file, readFileSync(path.join(out, file)).toString('base64')]));
}
