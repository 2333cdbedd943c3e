// ask.test.ts: a typed question is asked as evaluation asks: same prompt, same answer; of the untouched student and of a tuned
// one. Words that a student lacks are named and nothing is generated. What was loaded is kept, and given back.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseExperiment, type Experiment } from '../../../src/config/experiment';
import { resolvePaths } from '../../../src/config/paths';
import { writeAdapterNote } from '../../../src/formats/adapterNote';
import { writePeftAdapter } from '../../../src/formats/peft';
import type { Gpu } from '../../../src/gpu/device';
import { nodeGpu } from '../../../src/gpu/node';
import type { AskRequest } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import { prototypeSmoke } from '../../fixtures/prototypeSmoke';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const files = { kind: 'disk' as const, directory: ROOT };
const COUNT = 3;

interface Asked {
  question: string;
  options: string[];
}

/** Question and options of a row of the prototype's test file, read from its prompt. */
function readQuestion(line: string): Asked {
  const { plain_prompt: text } = JSON.parse(line) as { plain_prompt: string };
  return {
    question: /^Question: (.*)$/m.exec(text)![1]!,
    options: [...text.matchAll(/^[A-D]\) (.*)$/gm)].map((match) => match[1]!),
  };
}

const questions = readFileSync(`${ROOT}test/fixtures/lesson/task-C-test.jsonl`, 'utf8')
  .split('\n')
  .slice(0, COUNT)
  .map(readQuestion);

const LAYER = 'model.layers.0.self_attn.v_proj';
/** Changes what the student says, without a meaning. */
const adapter = writePeftAdapter({
  r: 1,
  alpha: 8,
  dropout: 0,
  rsLora: false,
  targetModules: [LAYER],
  baseModel: 'student',
  tensors: new Map([
    [
      LAYER,
      {
        a: { shape: [1, 128], data: Float32Array.from({ length: 128 }, (_, i) => Math.sin(i)) },
        b: { shape: [128, 1], data: Float32Array.from({ length: 128 }, (_, i) => Math.cos(3 * i)) },
      },
    ],
  ]),
});

/** The session's device, for what it holds. */
function gpuOf(session: Session): Gpu {
  return (session as unknown as { place: { current: Gpu } }).place.current;
}

describe('ask', { timeout: 300_000 }, () => {
  const store = new MemoryRunStore();
  let session: Session;
  let experiment: Experiment;
  /** What a finished run leaves of its self-refined student. */
  const keepAdapter = async (runId: string, more: Record<string, Uint8Array> = {}): Promise<void> => {
    for (const [name, bytes] of Object.entries({ ...adapter, ...more })) {
      await store.saveArtefact(runId, `adapters/self-refine/${name}`, bytes);
    }
  };
  const request = (change: Partial<AskRequest> = {}): AskRequest => ({
    experiment,
    files,
    system: 'Baseline',
    prompt: 'cot',
    ...questions[0]!,
    ...change,
  });

  beforeAll(async () => {
    session = new Session(await nodeGpu(), store);
    await session.open({ tier: 'f32' });
    const short = prototypeSmoke();
    experiment = resolvePaths(
      parseExperiment({
        ...short,
        prompt: { ...short.prompt, maxPromptTokens: 96 },
        tasks: [{ ...short.tasks[0]!, split: { ...short.tasks[0]!.split, testLimit: COUNT } }],
        evaluation: { ...short.evaluation, prompts: ['cot'], temperature: 0, maxNewTokens: 60, probing: false },
      }),
      { base: 'experiments' },
    );
    await keepAdapter('tuned');
  });
  afterAll(() => session.close());

  const evaluated = async (): Promise<string[]> => {
    const out: Record<string, Uint8Array> = {};
    await session.evaluate({ experiment, files, out: { kind: 'memory', files: out } }, () => undefined);
    const lines = new TextDecoder().decode(out['predictions.jsonl']).trim().split('\n');
    return lines.map((line) => (JSON.parse(line) as { text: string }).text);
  };

  it('gives the answers that evaluation gives, with the letter or number they commit to', async () => {
    const texts = await evaluated();
    for (const [i, question] of questions.entries()) {
      const answer = await session.ask(request(question));
      expect(answer.text, question.question).toBe(texts[i]);
      expect(answer.prompt).toContain(`Question: ${question.question}\nChoices:\nA) ${question.options[0]}\n`);
      expect(answer.prompt.endsWith("Answer: Let's think step by step\n")).toBe(true);
      expect(answer.answer).toMatch(/^[A-D]$/);
      expect(answer.unknownWords).toEqual([]);
    }
    const sum = await session.ask(
      request({
        question: 'Tom has 3 pears and buys 4 more pears. How many pears does Tom have now?',
        options: [],
        prompt: 'plain',
      }),
    );
    expect(sum.prompt).toMatch(/^Answer the following mathematical question/);
    expect(sum.answer).toMatch(/^\d+$/);
  });

  it('asks the student that a run tuned, and keeps both', async () => {
    const before = await session.ask(request());
    const tuned = await session.ask(request({ system: 'Self-refined', runId: 'tuned' }));
    expect(tuned.prompt).toBe(before.prompt);
    expect(tuned.text).not.toBe(before.text);
    const gpu = gpuOf(session);
    const held = gpu.account.current;
    expect((await session.ask(request())).text).toBe(before.text);
    expect(gpu.account.current).toBe(held); // both were there already
  });

  it('names words that the student lacks, mends their case, and generates nothing for unknown ones', async () => {
    const answer = await session.ask(request({ question: 'Which of these stops a quokka?', options: ['tea', 'hops'] }));
    expect(answer).toMatchObject({ text: '', unknownWords: ['quokka', 'hops'] });
    expect(answer.reply).toBe('I do not know the words "quokka" and "hops".');
    expect(answer.answer).toBeUndefined();
    const mended = await session.ask(
      request({ question: 'tom has 3 pears. how many pears does tom have?', options: [] }),
    );
    expect(mended.question).toBe('Tom has 3 pears. How many pears does Tom have?');
  });

  it('keeps a question on one line, and knows that there is no fifth letter', async () => {
    const broken = await session.ask(request({ question: ' What needs\n polish? ' }));
    expect(broken.prompt).toContain('Question: What needs polish?\nChoices:');
    const options = ['juice', 'oak', 'wool', 'fig', 'owl'];
    const five = await session.ask(request({ options }));
    expect(five.text).toBe('');
    expect(five.unknownWords).toContain('E');
    const bundled = {
      source: { kind: 'directory' as const, path: 'public/students/lesson' },
      quantize: 'none' as const,
    };
    const lesson = parseExperiment({ ...experiment, student: bundled });
    const asked = request({ experiment: lesson, question: 'Which of these stops thirst?', options });
    expect(await session.ask(asked)).toMatchObject({ text: '', unknownWords: ['E', 'E)'] });
    expect((await session.ask({ ...asked, options: options.slice(1) })).text).not.toBe('');
  });

  it('keeps one run’s students at a time, and none of a deleted run', async () => {
    for (const run of ['second', 'third']) await keepAdapter(run);
    const tuned = (runId: string): Promise<unknown> => session.ask(request({ system: 'Self-refined', runId }));
    const gpu = gpuOf(session);
    await tuned('second');
    const held = gpu.account.current;
    await tuned('third');
    expect(gpu.account.current).toBe(held);
    await session.deleteRun('third');
    await expect(tuned('third')).rejects.toMatchObject({ code: 'storage' });
  });

  it('refuses an adapter that was trained on another student', async () => {
    await keepAdapter(
      'elsewhere',
      writeAdapterNote({ runId: 'elsewhere', student: { source: 'x', fingerprint: 'ffff', quantize: 'nf4' } }),
    );
    await expect(session.ask(request({ system: 'Self-refined', runId: 'elsewhere' }))).rejects.toMatchObject({
      code: 'checkpoint',
      message: expect.stringContaining('trained on ffff (nf4)') as string,
    });
  });

  it('tells picked files of the same names and sizes apart', async () => {
    const lesson = `${ROOT}test/fixtures/lesson/`;
    const read = (name: string): Uint8Array => new Uint8Array(readFileSync(lesson + name));
    const picked = (student: string): AskRequest['files'] => ({
      kind: 'memory',
      files: {
        'test/fixtures/lesson/student-p10/config.json': read('student-p10/config.json'),
        'test/fixtures/lesson/student-p10/model.safetensors': read(`${student}/model.safetensors`),
        'test/fixtures/lesson/vocab.json': read('vocab.json'),
      },
    });
    const answers = async (student: string): Promise<string> => {
      const texts: string[] = [];
      for (const question of questions) {
        texts.push((await session.ask(request({ ...question, files: picked(student) }))).text);
      }
      return texts.join('\n');
    };
    const first = await answers('student-p8');
    expect(await answers('student-p10')).not.toBe(first);
    expect(await answers('student-p8')).toBe(first);
  });

  it('ends when it is stopped, while it loads and while it answers', async () => {
    const stopped = async (): Promise<void> => {
      const ended = expect(session.ask(request())).rejects.toMatchObject({ code: 'cancelled' });
      await session.stop();
      await ended;
    };
    await session.check('rope', () => undefined); // nothing is loaded
    await stopped();
    await session.ask(request());
    await stopped();
  });

  it('has the words of a word vocabulary, and no example where tasks come as whole prompts', async () => {
    const { examples, words } = await session.exampleQuestions({ experiment, files });
    expect(examples).toEqual([]);
    expect(words).toContain('tea');
    expect(words!.every((word) => /^[A-Za-z']+$/.test(word))).toBe(true);
  });

  it('refuses what cannot be asked, and a run that left no such student', async () => {
    await expect(session.ask(request({ question: '  ' }))).rejects.toThrow(/expected a question, it is empty/);
    await expect(session.ask(request({ options: ['one'] }))).rejects.toThrow(/got 1/);
    await expect(session.ask(request({ options: ['one', ' '] }))).rejects.toThrow(/an empty one/);
    await expect(session.ask(request({ question: 'pears '.repeat(90), options: [] }))).rejects.toThrow(
      /expected at most 96 tokens with the prompt's own words, got 1\d\d/,
    );
    await expect(session.ask(request({ system: 'Self-refined' }))).rejects.toThrow(/none was named/);
    await expect(session.ask(request({ system: 'Instruction-tuned', runId: 'tuned' }))).rejects.toThrow(
      /expected its Instruction-tuned student in adapters\/instruct\/, there is none/,
    );
    await expect(session.ask(request({ system: 'Self-refined', runId: '../x' }))).rejects.toThrow(/run/i);
  });

  it('waits for no other work, and gives back what it loaded when other work begins', async () => {
    const asked = session.ask(request());
    await expect(session.ask(request())).rejects.toThrow(/busy with ask/);
    await asked;
    const gpu = gpuOf(session);
    const held = gpu.account.current;
    await session.check('rope', () => undefined);
    expect(gpu.account.current).toBeLessThan(held);
    expect((await session.ask(request())).text).not.toBe('');
  });
});
