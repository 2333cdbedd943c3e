// selfConsistency.test.ts: votes of several samples in a run on the lesson's student: the rows and lines against a count made
// here, McNemar's test against the single answers, the plan's tokens; that asking for it changes no other number; and that
// stopping anywhere changes none of its own.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { mcnemarExact } from '../../../src/base/statistics';
import { parseExperiment } from '../../../src/config/experiment';
import { nodeGpu } from '../../../src/gpu/node';
import type { RunReport } from '../../../src/report/types';
import { planRun } from '../../../src/session/plan';
import type { FileRoot, RunSummary, SessionEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { MemoryRunStore } from '../../../src/storage/memory';
import type { RunStore } from '../../../src/storage/runStore';
import { extractChoice } from '../../../src/tasks/extract/choice';

vi.setConfig({ testTimeout: 600_000 });

const LESSON = new URL('../../fixtures/lesson/', import.meta.url);
const file = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, LESSON)));
const files: FileRoot = {
  kind: 'memory',
  files: {
    'student/config.json': file('student-p10/config.json'),
    'student/model.safetensors': file('student-p10/model.safetensors'),
    'vocab.json': file('vocab.json'),
    'test.jsonl': file('task-C-test.jsonl'),
  },
};
const SAMPLES = 4;
const QUESTIONS = 3;

const experiment = (evaluation: object): Record<string, unknown> => ({
  name: 'Votes',
  seed: 11,
  student: {
    source: { kind: 'directory', path: 'student' },
    tokenizer: { kind: 'words', path: 'vocab.json' },
    quantize: 'none',
    tier: 'f32',
  },
  prompt: { wrapper: 'none', promptSuffix: '\n' },
  tasks: [
    {
      id: 'lesson',
      name: 'C',
      files: { all: ['test.jsonl'] },
      split: { order: 'file', trainCount: 0, testLimit: QUESTIONS },
      use: ['evaluate'],
    },
  ],
  demonstrations: [],
  phases: { baseline: true, instruct: false, selfRefine: false },
  evaluation: { prompts: ['cot'], temperature: 0.1, maxNewTokens: 24, batchSize: 4, ...evaluation },
});
const VOTING = experiment({ selfConsistency: { samples: SAMPLES, temperature: 1 } });

let session: Session;
let present: RunStore;
beforeAll(async () => {
  const store = new Proxy({} as RunStore, {
    get: (_, name: keyof RunStore) => (present[name] as (...args: unknown[]) => unknown).bind(present),
  });
  session = new Session(await nodeGpu(), store);
  await session.open({ tier: 'f32' });
});

interface Result {
  summary: RunSummary;
  events: SessionEvent[];
  out: Record<string, Uint8Array>;
}

async function run(
  document: unknown,
  { store = new MemoryRunStore(), resume = false, stopAt = Infinity } = {},
): Promise<Result> {
  present = store;
  const [out, events]: [Record<string, Uint8Array>, SessionEvent[]] = [{}, []];
  const request = { runId: 'votes', experiment: document, files, out: { kind: 'memory' as const, files: out } };
  const summary = await session.run({ ...request, ...(resume ? { resume } : {}) }, (event) => {
    events.push(event);
    if (events.length === stopAt) void session.stop();
  });
  expect(summary.error).toBeUndefined();
  return { summary, events, out };
}

interface Line {
  prompt: string;
  itemId: string;
  target: string;
  correct: Record<string, boolean>;
  texts?: string[];
  stopped: string | string[];
  answer?: string;
  votes?: number;
  answered?: number;
  samples?: number;
}
const linesOf = ({ out }: Result): Line[] =>
  new TextDecoder()
    .decode(out['predictions.jsonl'])
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

let whole: Promise<Result> | undefined;
const undisturbed = (): Promise<Result> => (whole ??= run(VOTING));

describe('self-consistency in a run', () => {
  it('has a row of its own, whose votes are those of a count by hand', async () => {
    const result = await undisturbed();
    const report = result.summary.report as RunReport;
    expect(report.evaluations.map(({ prompt, scorer, n }) => `${prompt} ${scorer} ${n}`)).toEqual([
      `plain strict ${QUESTIONS}`,
      `cot strict ${QUESTIONS}`,
      `cot self-consistency (${SAMPLES}) ${QUESTIONS}`,
    ]);
    const voted = linesOf(result).filter(({ texts }) => texts !== undefined);
    expect(voted).toHaveLength(QUESTIONS);
    let right = 0;
    let disagreeing = 0;
    for (const { texts = [], target, answer, votes, answered, samples, correct, prompt, stopped } of voted) {
      expect([texts.length, stopped.length, samples, prompt]).toEqual([SAMPLES, SAMPLES, SAMPLES, 'cot']);
      const read = texts.map((text) => extractChoice(text, undefined, 4).answer);
      const counts = new Map<string, number>();
      for (const one of read) if (one !== undefined) counts.set(one, (counts.get(one) ?? 0) + 1);
      const most = Math.max(0, ...counts.values());
      const winner = read.find((one) => one !== undefined && counts.get(one) === most);
      expect([answer, votes, answered]).toEqual([winner, most, read.filter((one) => one !== undefined).length]);
      const isRight = winner !== undefined && target.startsWith(winner);
      expect(correct).toEqual({ [`self-consistency (${SAMPLES})`]: isRight });
      if (isRight) right++;
      if (counts.size > 1) disagreeing++;
    }
    expect(report.evaluations[2]!.correct).toBe(right);
    // Samples differ, or there would be nothing to vote on.
    expect(disagreeing).toBeGreaterThan(0);
    expect(new TextDecoder().decode(result.out['report.html'])).toContain(`self-consistency (${SAMPLES})`);
  });

  it('is compared with the single answers to the same prompt', async () => {
    const result = await undisturbed();
    const single = new Map(
      linesOf(result)
        .filter(({ prompt, texts }) => prompt === 'cot' && texts === undefined)
        .map(({ itemId, correct }) => [itemId, correct['strict'] === true]),
    );
    const pairs = linesOf(result)
      .filter(({ texts }) => texts !== undefined)
      .map(({ itemId, correct }) => [single.get(itemId), correct[`self-consistency (${SAMPLES})`]]);
    const onlyFirst = pairs.filter(([one, vote]) => one === true && vote === false).length;
    const onlySecond = pairs.filter(([one, vote]) => one === false && vote === true).length;
    expect((result.summary.report as RunReport).comparisons).toEqual([
      {
        taskId: 'C',
        prompt: 'cot',
        scorer: 'strict',
        first: 'Baseline',
        second: 'Baseline',
        secondScorer: `self-consistency (${SAMPLES})`,
        onlyFirst,
        onlySecond,
        p: mcnemarExact(onlyFirst, onlySecond),
      },
    ]);
  });

  it('changes no other answer', async () => {
    const others = linesOf(await undisturbed()).filter(({ texts }) => texts === undefined);
    expect(linesOf(await run(experiment({})))).toEqual(others);
  });

  it('stopped anywhere and resumed, it ends with the same bytes', async () => {
    const before = await undisturbed();
    const job = 'self-consistency Baseline C';
    // After its first batch of answers, and after its last.
    const during = before.events.flatMap((event, i) =>
      event.type === 'progress' && event.progress.task === job ? [i + 1] : [],
    );
    expect(during.length).toBeGreaterThan(1);
    for (const stopAt of [during[0]!, during.at(-1)!]) {
      const store = new MemoryRunStore();
      const stopped = await run(VOTING, { store, stopAt });
      expect(stopped.summary.state, `stopped at event ${stopAt}`).toBe('stopped');
      const after = await run(VOTING, { store, resume: true });
      expect(after.summary.state).toBe('finished');
      expect(await store.loadArtefact('votes', 'predictions.jsonl'), `stopped at event ${stopAt}`).toEqual(
        before.out['predictions.jsonl'],
      );
      const [was, is] = [before, after].map(({ summary }) => summary.report as RunReport);
      expect(is!.evaluations).toEqual(was!.evaluations);
      expect(is!.comparisons).toEqual(was!.comparisons);
    }
  });

  it('the plan counts its tokens: every sample reads its prompt and may be as long as any answer', async () => {
    const plan = async (document: unknown) => planRun(parseExperiment(document), openFileRoot(files));
    const [without, withVotes] = [await plan(experiment({})), await plan(VOTING)];
    const prompts = linesOf(await undisturbed()).filter(({ texts }) => texts !== undefined).length;
    const rows = new TextDecoder().decode(file('task-C-test.jsonl')).split('\n').slice(0, prompts);
    const tokens = rows
      .map((row) => (JSON.parse(row) as { prompt_ids: number[] }).prompt_ids.length + 24)
      .reduce((a, b) => a + b, 0);
    expect(withVotes.totalTokens - without.totalTokens).toBe(SAMPLES * tokens);
  });

  it.each([
    [{ samples: 1, temperature: 1 }, 'samples'],
    [{ samples: 2.5 }, 'samples'],
    [{ samples: 3, temperature: 0 }, 'temperature'],
    [{ temperature: 1 }, 'samples'],
    [{ samples: 3, topK: 5 }, 'topK'],
    [true, 'evaluation.selfConsistency'],
  ])('refuses %j, which could not vote', (selfConsistency, part) => {
    expect(() => parseExperiment(experiment({ selfConsistency }))).toThrow(part);
  });
});
