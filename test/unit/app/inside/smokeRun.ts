// smokeRun.ts: files of real runs: of preset `smoke` (test/fixtures/smokeRun/README.md), and answers of a finished lesson
// (test/fixtures/lessonRun/README.md). Tests only.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FIXTURES = fileURLToPath(new URL('../../../fixtures/', import.meta.url));

/** The rows of one of their files: `smokeRun/pairs.jsonl`, say. */
export function fixtureRows<Row>(name: string, read: (value: unknown, line: number) => Row): Row[] {
  return readFileSync(`${FIXTURES}${name}`, 'utf8')
    .trim()
    .split('\n')
    .map((line, i) => read(JSON.parse(line), i));
}

/** As much of the smoke run's report.json as is kept. */
export const smokeReport = (): {
  comparisons: {
    taskId: string;
    prompt: string;
    scorer: string;
    first: string;
    second: string;
    secondScorer?: string;
    onlyFirst: number;
    onlySecond: number;
    p: number;
  }[];
  evaluations: { system: string; taskId: string; prompt: string; scorer: string; correct: number; n: number }[];
  pairs: { counts: Record<string, number> };
  demonstrations: { label: string; taskId: string; read: number; used: number }[];
} => JSON.parse(readFileSync(`${FIXTURES}smokeRun/report.json`, 'utf8')) as ReturnType<typeof smokeReport>;
