// shortRun.ts: an experiment of experiments/ cut short, and what every finished run must have left behind. Tests only.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const folder = mkdtempSync(join(tmpdir(), 'pupil-experiments-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Report {
  evaluations: { system: string; prompt: string; scorer: string; correct: number; n: number }[];
  pairs?: { counts: Record<string, number> };
}

type Tree = { [key: string]: unknown };

/** `over` laid onto `base`: objects and arrays member by member, everything else replaced. */
function laidOver(base: unknown, over: unknown): unknown {
  if (typeof base !== 'object' || base === null || typeof over !== 'object' || over === null) return over;
  const out = (Array.isArray(base) ? [...(base as unknown[])] : { ...base }) as Tree;
  for (const [key, value] of Object.entries(over)) out[key] = laidOver(out[key], value);
  return out;
}

/** The experiment with some of its settings replaced, at a path of the test's own. */
export function shortened(name: string, changes: Tree): string {
  const text = readFileSync(join(ROOT, 'experiments', `${name}.json`), 'utf8').replaceAll('"../test/', `"${ROOT}test/`);
  const path = join(folder, `${name}.json`);
  writeFileSync(path, JSON.stringify(laidOver(JSON.parse(text), changes)));
  return path;
}

export function metrics(out: string, phase: string): Record<string, number>[] {
  return readFileSync(join(out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number> & { phase: string })
    .filter((row) => row.phase === phase);
}

/** What every finished run must have left behind. */
export function expectComplete(out: string): Report {
  for (const phase of ['instruct', 'self-refine']) {
    for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
      expect(existsSync(join(out, 'adapters', phase, file)), `${phase}/${file}`).toBe(true);
    }
  }
  for (const file of [
    'report.json',
    'report.html',
    'metrics.jsonl',
    'demonstrations.jsonl',
    'pairs.jsonl',
    'predictions.jsonl',
  ]) {
    expect(existsSync(join(out, file)), file).toBe(true);
  }
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toMatch(/Self-refined/);
  const first = metrics(out, 'self-refine').find((row) => row.step === 1)!;
  expect(Math.abs(first.loss! - Math.LN2)).toBeLessThan(1e-5);
  return JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report;
}
