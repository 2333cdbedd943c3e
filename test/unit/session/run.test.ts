// A whole run on a tiny random student, in Node on Dawn: what it leaves, what it tells, and that it can be held.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../../src/cli/program';
import type { RunReport } from '../../../src/report/types';
import type { SessionEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { Kept } from '../../cli/fakeSession';
import { expectSameAs, linesOf, run, session, undisturbed } from './runHarness';
import { tinyExperiment, tinyFiles } from './tinyRun';

describe('a run from beginning to end', () => {
  it('finishes and leaves every artefact, mirrored to the output folder', async () => {
    const { summary, out, store } = await undisturbed();
    expect(summary.error).toBeUndefined();
    expect(summary.state).toBe('finished');
    const expected = [
      'adapters/instruct/adapter_config.json',
      'adapters/instruct/adapter_model.safetensors',
      'adapters/instruct/pupil.json',
      'adapters/self-refine/adapter_config.json',
      'adapters/self-refine/adapter_model.safetensors',
      'adapters/self-refine/pupil.json',
      'demonstrations.jsonl',
      'metrics.jsonl',
      'pairs.jsonl',
      'predictions.jsonl',
      'report.html',
      'report.json',
    ];
    expect(summary.artefacts).toEqual(expected);
    for (const path of expected) expect(out[path], path).toEqual(await store.loadArtefact('tiny', path));
    for (const line of linesOf(out['predictions.jsonl'])) {
      expect(line['question']).toMatch(/^Choose the answer[^]*\nAnswer:$/); // as the plain prompt, whatever was asked
    }
    const note = JSON.parse(new TextDecoder().decode(out['adapters/instruct/pupil.json'])) as object;
    expect(note).toMatchObject({ runId: 'tiny', student: { quantize: 'nf4-double' } });
    expect(out['checkpoints/run.json']).toBeDefined();
    expect(new TextDecoder().decode(out['report.html'])).toContain('<!doctype html>');
  });

  it('goes through the phases in order and reports rows for every system, task and prompt', async () => {
    const { summary, events } = await undisturbed();
    const phases = events.flatMap((event) => (event.type === 'phase' && event.state === 'start' ? [event.phase] : []));
    expect(phases).toEqual(['load', 'baseline', 'instruct', 'generate-pairs', 'self-refine', 'evaluate', 'report']);
    const report = summary.report as RunReport;
    const rows = report.evaluations.map(({ system, prompt, scorer, n }) => `${system} ${prompt} ${scorer} ${n}`);
    expect(rows).toEqual([
      'Baseline plain strict 5',
      'Baseline cot strict 5',
      'Baseline plain probing 5',
      'Baseline plain probing, per token 5',
      'Baseline plain probing by text 5',
      'Baseline plain probing by text, per token 5',
      'Instruction-tuned plain strict 5',
      'Instruction-tuned cot strict 5',
      'Instruction-tuned plain probing 5',
      'Instruction-tuned plain probing, per token 5',
      'Instruction-tuned plain probing by text 5',
      'Instruction-tuned plain probing by text, per token 5',
      'Self-refined plain strict 5',
      'Self-refined cot strict 5',
      'Self-refined plain probing 5',
      'Self-refined plain probing, per token 5',
      'Self-refined plain probing by text 5',
      'Self-refined plain probing by text, per token 5',
    ]);
    expect(report.comparisons).toHaveLength(6);
    // Judged anew by every scorer, the same answers get the same verdicts from the run's own.
    expect(report.scorers!.map(({ system, prompt, n, correct }) => [system, prompt, n, correct.strict])).toEqual(
      report.evaluations
        .filter(({ scorer }) => scorer === 'strict')
        .map(({ system, prompt, n, correct }) => [system, prompt, n, correct]),
    );
    expect(Object.keys(report.pairs!.meanings!)).toEqual(Object.keys(report.pairs!.counts));
    expect(report.samples.map(({ answers }) => answers.length)).toEqual([6, 6, 6, 6, 6]);
    expect(report.timings.map(({ phase }) => phase)).toEqual([
      'load',
      'baseline',
      'instruct',
      'generate-pairs',
      'self-refine',
      'evaluate',
      'report',
    ]);
  });

  it('instruction-tuning lowers the loss; the learning rate starts at 0 and follows the schedule', async () => {
    const { out } = await undisturbed();
    const rows = linesOf(out['metrics.jsonl']).filter((row) => row['phase'] === 'instruct');
    expect(rows.map((row) => row['step'])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(rows[0]!['learning_rate']).toBe(0);
    expect(rows.at(-1)!['loss'] as number).toBeLessThan(rows[0]!['loss'] as number);
  });

  it('preference training starts at ln 2 on the held-out pairs and reports TRL’s metrics', async () => {
    const { out, summary } = await undisturbed();
    const rows = linesOf(out['metrics.jsonl']).filter((row) => row['phase'] === 'self-refine');
    expect(rows.map((row) => row['step'])).toEqual([0, 1, 2, 3, 4, 5]);
    expect(rows[0]!['eval_loss']).toBeCloseTo(Math.LN2, 5);
    expect(rows[1]!['loss']).toBeCloseTo(Math.LN2, 5);
    for (const name of ['rewards/chosen', 'rewards/margins', 'rewards/accuracies', 'logps/chosen', 'grad_norm']) {
      expect(rows[3], name).toHaveProperty([name]);
    }
    expect(rows.map((row) => row['eval_loss'] !== undefined)).toEqual([true, false, true, false, true, true]);
    const { kept } = summary.report as RunReport;
    const measured = rows.slice(1).filter((row) => row['eval_loss'] !== undefined);
    const lowest = measured.reduce((best, row) =>
      (row['eval_loss'] as number) < (best['eval_loss'] as number) ? row : best,
    );
    expect(kept).toMatchObject({ rule: 'lowest-validation-loss', step: lowest['step'] });
  });

  it('pairs are those of the counts: made + not made = prompts, training + validation = made', async () => {
    const { out, summary } = await undisturbed();
    const { counts } = (summary.report as RunReport).pairs!;
    const notMade =
      counts['identical_skipped']! +
      counts['too_long']! +
      counts['teacher_wrong_dropped']! +
      counts['plain_correct_skipped']!;
    expect(counts['prompts']).toBe(12);
    expect(counts['pairs']! + notMade).toBe(12);
    expect(counts['training_pairs']! + counts['validation_pairs']!).toBe(counts['pairs']);
    expect(counts['cot_correct']! + counts['teacher_fallback']!).toBe(12);
    expect(linesOf(out['pairs.jsonl'])).toHaveLength(counts['pairs']!);
  });
});

describe('the command line over an unpacked export', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'pupil-run-eval-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('eval --adapter gives the run’s own answers to every question', async () => {
    const { store, out } = await undisturbed();
    const there = new Session(() => Promise.reject(new Error('no GPU is needed')), store);
    const { blob } = await there.exportRun({ runId: 'tiny', what: { kind: 'everything' } }, () => undefined);
    const files = Object.entries(unzipSync(new Uint8Array(await blob.arrayBuffer())));
    // Beside the experiment lies what it names.
    for (const [path, bytes] of [...files, ...Object.entries(tinyFiles()).map(([p, b]) => [`tiny/${p}`, b] as const)]) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), bytes);
    }
    const [run_, to] = [join(folder, 'tiny'), join(folder, 'answers')];
    const err = new Kept();
    const args = ['eval', join(run_, 'experiment.json'), '--adapter', join(run_, 'adapters', 'self-refine')];
    const code = await main([...args, '--prompt', 'cot', '--host', 'node', '--out', to], {}, { out: new Kept(), err });
    expect(code, err.text).toBe(0);
    const own = linesOf(out['predictions.jsonl']).filter(
      ({ system, prompt }) => system === 'Self-refined' && prompt === 'cot',
    );
    expect(own).toHaveLength(5);
    expect(linesOf(readFileSync(join(to, 'predictions.jsonl')))).toEqual(own);
  });
});

describe('what the files of a run say for readers', () => {
  it('each answer comes with what the strict scorer reads in it, each demonstration with its tokens', async () => {
    const { out } = await undisturbed();
    const answers = linesOf(out['predictions.jsonl']) as { text: string; answer: string | null }[];
    expect(answers.length).toBeGreaterThan(0);
    for (const { text, answer } of answers) if (answer !== null) expect(text).toContain(answer);
    const [first] = linesOf(out['pairs.jsonl']);
    const demonstrations = linesOf(out['demonstrations.jsonl']);
    const own = demonstrations.find(({ itemId }) => itemId === first!['itemId'])!;
    expect(own['promptTokens']).toBe((first!['prompt'] as { ids: number[] }).ids.length); // DPO_CoT: both under x̂
    expect(demonstrations.every((row) => (row['answerTokens'] as number) > 1)).toBe(true);
  });
});

describe('pause, step, stop', () => {
  it('pauses after the step under way, does single steps, and goes on', async () => {
    const metrics: number[] = [];
    let pauses = 0;
    const { summary } = await run({
      experiment: tinyExperiment({
        phases: { baseline: false, instruct: { epochs: 2, batchSize: 4, learningRate: 0.01 }, selfRefine: false },
        evaluation: { prompts: ['cot'], maxNewTokens: 4 },
      }),
      interrupt: (event) => {
        if (event.type === 'metrics') {
          metrics.push(event.step);
          if (event.step === 1) void session.pause();
        }
        if (event.type === 'state' && event.state === 'paused') {
          pauses++;
          expect(metrics).toEqual(Array.from({ length: pauses }, (_, i) => i + 1)); // one step a pause
          void (pauses < 3 ? session.step() : session.resume());
        }
      },
    });
    expect([pauses, summary.state]).toEqual([3, 'finished']);
    expect(metrics).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('for whoever looks on', () => {
  it('tells the demonstrations, every answer y and ŷ, and the pairs, as they are in the artefacts', async () => {
    const { events, out } = await undisturbed();
    const told = <T extends SessionEvent['type']>(type: T): Extract<SessionEvent, { type: T }>[] =>
      events.filter((event): event is Extract<SessionEvent, { type: T }> => event.type === type);
    const demonstrations = linesOf(out['demonstrations.jsonl']);
    expect(told('demonstration').map(({ answer, index, total }) => ({ answer, index, total }))).toEqual(
      demonstrations.map(({ answer }, index) => ({ answer, index, total: demonstrations.length })),
    );
    expect(told('sampled').map(({ which, index }) => [which, index])).toEqual(
      (['y', 'y-hat'] as const).flatMap((which) => demonstrations.map((_, index) => [which, index])),
    );
    const pairs = linesOf(out['pairs.jsonl']) as unknown as {
      itemId: string;
      prompt: { text: string };
      chosen: { text: string; from: string };
      rejected: { text: string };
    }[];
    expect(
      told('pair').map(({ prompt, chosen, chosenFrom, rejected }) => [prompt, chosen, chosenFrom, rejected]),
    ).toEqual(pairs.map(({ prompt, chosen, rejected }) => [prompt.text, chosen.text, chosen.from, rejected.text]));
    // The rejected answer is the y of the same question.
    const y = told('sampled').filter(({ which }) => which === 'y');
    expect(y.map(({ text }) => text)).toEqual(expect.arrayContaining(pairs.map(({ rejected }) => rejected.text)));
  });

  it('stops at once in a long rest between two pairs and loses nothing; rests change no bit and are in no timing', async () => {
    const before = await undisturbed();
    let pairs = 0;
    const start = performance.now();
    let paired = Infinity;
    const first = await run({
      interrupt: (event) => {
        if (event.type !== 'pair') return;
        paired = Math.min(paired, performance.now());
        // The first rest is ended by a new pace, the second by the stop.
        if (++pairs === 1) void session.setPace({ restMs: 60_000 });
        setTimeout(() => void (pairs === 1 ? session.setPace({ restMs: 59_999 }) : session.stop()), 20);
      },
    });
    expect(performance.now() - paired).toBeLessThan(50_000); // two rests of a minute
    expect([first.summary.state, pairs]).toEqual(['stopped', 2]);
    await session.setPace({ restMs: 30 });
    const rest = await run({ store: first.store, resume: true });
    const wallMs = performance.now() - start;
    await session.setPace({ restMs: 0 });
    await expectSameAs(before, rest, 'stopped between two pairs, then paced');
    const told = rest.events.flatMap((event) => (event.type === 'pair' ? [event.index] : []));
    expect(new Set(told).size).toBe(linesOf(rest.out['pairs.jsonl']).length);
    expect(rest.events.filter(({ type }) => type === 'demonstration')).toHaveLength(12);
    const units = rest.events.filter(({ type }) => type === 'metrics' || type === 'pair').length;
    const timed = (rest.summary.report as RunReport).timings.reduce((sum, { seconds }) => sum + 1000 * seconds, 0);
    expect(units).toBeGreaterThan(8);
    expect(wallMs - timed).toBeGreaterThan(0.9 * 30 * units);
  });

  it('refuses a pace that is none', async () => {
    for (const restMs of [-1, Number.NaN, 60_001, '5' as unknown as number]) {
      await expect(session.setPace({ restMs }), String(restMs)).rejects.toMatchObject({ code: 'usage' });
    }
  });
});
