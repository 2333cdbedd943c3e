// fakeSession.ts: the whole command line against a session that only remembers what it was asked: the verbs, the files and
// the output are real. Tests only.
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { VerbContext } from '../../src/cli/context';
import type { HostOptions } from '../../src/cli/host';
import { main } from '../../src/cli/program';
import type { EvaluationRow, FileRoot, SessionApi, SessionEvent } from '../../src/session/protocol';
import { madeUpMachine } from './madeUpMachine';

export const LESSON = join(import.meta.dirname, '../fixtures/lesson');
export const GOLDEN = join(import.meta.dirname, '../fixtures/golden');

export const ROW: EvaluationRow = {
  system: 'Self-refined',
  taskId: 'C',
  prompt: 'cot',
  scorer: 'strict',
  correct: 98,
  n: 100,
  low: 0.93,
  high: 0.994,
  cutOff: 0,
};

/** A stream that keeps its text. */
export class Kept extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

export interface Called {
  method: string;
  args: unknown[];
}

/** Runs a command line against a fake session. `answers` replaces what its methods give. */
export async function pupil(
  args: readonly string[],
  answers: Partial<Record<keyof SessionApi, (...args: never[]) => unknown>> = {},
  more: Pick<VerbContext, 'input' | 'machine'> = {},
): Promise<{ code: number; out: string; err: string; calls: Called[]; hosts: HostOptions[]; closed: number }> {
  const out = new Kept();
  const err = new Kept();
  const calls: Called[] = [];
  const hosts: HostOptions[] = [];
  let closed = 0;
  const standard: Partial<Record<keyof SessionApi, (...args: never[]) => unknown>> = {
    open: () => undefined,
    doctor: () => ({
      adapter: { vendor: 'google', architecture: 'swiftshader', features: ['subgroups'], limits: { maxBufferSize: 7 } },
      tier: 'f32',
      tiers: ['f32'],
      software: true,
      storage: { quotaBytes: 2 ** 31 },
      crossOriginIsolated: true,
      userAgent: 'test',
      problems: [{ problem: 'only a software adapter was found', remedy: 'Check the driver.' }],
    }),
    check: (_filter: string | undefined, on: (result: unknown) => void) => {
      on({ kernel: 'rmsnorm_forward', name: '(N,C)=(3,65)', status: 'passed' });
      on({ kernel: 'linear_forward', name: '(1,1,1)', status: 'failed', detail: 'max |Δ| 3' });
      return { passed: 1, failed: 1, skipped: 0, adapter: 'fake' };
    },
    run: (request: { runId: string }, on: (event: SessionEvent) => void) => {
      on({ type: 'phase', phase: 'instruct', state: 'start' });
      on({ type: 'metrics', phase: 'instruct', step: 1, totalSteps: 2, values: { loss: 1.5 } });
      on({ type: 'evaluation', row: ROW });
      return { runId: request.runId, state: 'finished', report: {}, artefacts: ['report.html'] };
    },
    evaluate: () => [ROW],
    exportStudent: () => ({ written: ['model.safetensors'], notes: ['rounding to bf16 costs something'] }),
    inspect: () => undefined,
    stop: () => undefined,
  };
  const session = new Proxy({} as SessionApi, {
    get: (_, name: string) =>
      name === 'then'
        ? undefined
        : async (...given: never[]) => {
            calls.push({ method: name, args: given });
            return (answers[name as keyof SessionApi] ?? standard[name as keyof SessionApi])?.(...given);
          },
  });
  const root =
    (what: string): ((paths: readonly string[] | string) => FileRoot) =>
    (paths) => ({ kind: 'disk', directory: `${what}:${[paths].flat().join(',')}` });
  const overrides: Partial<VerbContext> = {
    machine: madeUpMachine(),
    ...more,
    openHost: (options) => {
      hosts.push(options);
      return Promise.resolve({
        session,
        about: { browser: '/opt/chrome' },
        reads: root('reads'),
        writes: root('writes'),
        folder: root('folder'),
        own: root('folder'),
        close: () => {
          closed++;
          return Promise.resolve();
        },
      });
    },
  };
  const code = await main(args, overrides, { out, err });
  return { code, out: out.text, err: err.text, calls, hosts, closed };
}

/** The JSON objects of stdout, one a line. */
export const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
