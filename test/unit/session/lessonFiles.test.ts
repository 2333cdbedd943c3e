// lessonFiles.test.ts: generated files as an experiment names them: what a path asks for, what it gives, and that loaders and
// teachers take it like any file.
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import { resolvePath } from '../../../src/config/paths';
import { prepare } from '../../../src/session/prepare';
import { lessonFileText, parseLessonFile } from '../../../src/session/lessonFiles';
import { lessonTokenizerFiles } from '../../../src/tasks/lesson/tokenizerFiles';
import { HuggingFaceTokenizer } from '../../../src/text/tokenizer';
import { openMemoryRoot } from '../../../src/sources/memory';
import { TASKS } from '../../../src/tasks/registry';
import { judgeItem } from '../../../src/tasks/score';
import { loadDemonstrations } from '../../../src/teachers/disk';

describe('a path', () => {
  it('says family, part, count, seed, steps and teacher', () => {
    expect(
      parseLessonFile('lesson:stories/train?count=50&seed=3&one=0.25&three=0.25&teacher=out-family&wrong=0.1'),
    ).toEqual({
      family: 'stories',
      part: 'train',
      wanted: { count: 50, seed: 3, steps: { one: 0.25, two: 0.5, three: 0.25 } },
      teacher: { family: 'out-family', seed: 3, wrongRate: 0.1 },
    });
    expect(parseLessonFile('lesson:kinds/test').wanted).toMatchObject({ count: 1000, seed: 0 });
  });

  it.each([
    ['lesson:cakes/test', 'one of stories, sums, kinds, tools as family'],
    ['lesson:kinds/pretraining', 'one of train, development, test as part'],
    ['lesson:kinds/test/more', 'as part'],
    ['lesson:kinds/test?seed=1', 'only count for test of kinds'],
    ['lesson:kinds/train?one=0.5', 'only count, seed, teacher, wrong'],
    ['lesson:kinds/test?teacher=in-family', 'only count'],
    ['lesson:kinds/train?count=many', 'an integer of 0 to 1000000 as count'],
    ['lesson:kinds/train?count=', 'as count'],
    ['lesson:kinds/train?count=1.5', 'as count'],
    ['lesson:kinds/train?teacher=somebody', 'one of in-family, out-family as teacher'],
    ['lesson:kinds/train?wrong=0.1', 'a teacher, since wrong is given'],
    ['lesson:kinds/train?teacher=in-family&wrong=2', 'a number of 0 to 1 as wrong'],
    ['lesson:stories/train?one=0.7&three=0.7', 'one + three of at most 1'],
  ])('%s is refused', (path, expected) => {
    expect(() => parseLessonFile(path)).toThrow(expected);
  });

  it('keeps its place through an experiment, with the run’s seed', () => {
    const path = resolvePath('lesson:kinds/train?seed={seed}&count=10', { base: 'experiments' }, 7);
    expect(path).toBe('lesson:kinds/train?seed=7&count=10');
  });
});

describe('its rows', () => {
  it('differ in the teacher only, for the same items', () => {
    const rows = (path: string): Record<string, unknown>[] =>
      lessonFileText(path)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    const plain = rows('lesson:tools/train?count=20&seed=1');
    const taught = rows('lesson:tools/train?count=20&seed=1&teacher=in-family&wrong=0.5');
    expect(taught.map(({ teacher: _t, teacher_answer: _a, wrong: _w, ...row }) => row)).toEqual(plain);
    expect(new Set(taught.map((row) => row['teacher']))).toEqual(new Set(['scripted, in-family, 50 % wrong']));
  });

  it('are read by the task and the teacher of disks, each demonstration with its item', async () => {
    const path = 'lesson:stories/train?count=60&seed=2&one=0.3&teacher=out-family&wrong=0.25';
    const { items, rejected } = TASKS['lesson-stories'].load([{ path, text: lessonFileText(path) }]);
    expect([items.length, rejected.length]).toEqual([60, 0]);
    const task = {
      id: 'A',
      items,
      plainPrompt: TASKS['lesson-stories'].plainPrompt,
      cotPrompt: TASKS['lesson-stories'].cotPrompt,
      isCorrect: (item: (typeof items)[number], text: string) => judgeItem('mixed', item, text).correct,
    };
    const [config] = parseExperiment(experiment('scripted, out-family', path)).demonstrations;
    const loaded = await loadDemonstrations(config!, task, (file) => Promise.resolve(lessonFileText(file)));
    expect(loaded.rejected).toEqual([]);
    expect(loaded.demonstrations.map((d) => d.itemId)).toEqual(items.map((item) => item.id));
    const wrong = lessonFileText(path).match(/"wrong":true/g)!.length;
    expect(wrong).toBeGreaterThan(5);
    expect(loaded.correct).toBe(60 - wrong);
  });
});

function experiment(label: string, path: string): object {
  return {
    name: 'x',
    student: { source: { kind: 'bundled', name: 'lesson' } },
    tasks: [{ id: 'lesson-stories', name: 'A', files: { train: [path], test: ['lesson:stories/test'] } }],
    demonstrations: [{ label, task: 'A', files: [path], format: 'lesson' }],
    phases: { instruct: {}, selfRefine: false },
  };
}

describe('an experiment of generated files', () => {
  const teacher = (part: string, extra: string): object => ({
    label: 'scripted, in-family',
    task: part,
    files: [`lesson:${part}/train?count=40&seed=1&teacher=in-family${extra}`],
    format: 'lesson',
  });
  const task = (part: string, extra = ''): object => ({
    id: `lesson-${part}`,
    name: part,
    files: {
      train: [`lesson:${part}/train?count=40&seed=1&teacher=in-family${extra}`],
      test: [`lesson:${part}/test?count=30`],
    },
    split: { order: 'file' },
  });

  it('is prepared in the words of the lesson’s own tokenizer, within its context, without a file on disk', async () => {
    const tokenizerFiles = lessonTokenizerFiles(192);
    const tokenizer = new HuggingFaceTokenizer({
      tokenizer: tokenizerFiles['tokenizer.json'],
      tokenizerConfig: tokenizerFiles['tokenizer_config.json'],
    });
    const parsed = parseExperiment({
      name: 'x',
      student: { source: { kind: 'bundled', name: 'lesson' } },
      prompt: { wrapper: 'none', promptSuffix: '\n' },
      tasks: [task('stories', '&one=0.3&three=0.2'), task('sums'), task('kinds', '&wrong=0.5'), task('tools')],
      demonstrations: [
        teacher('stories', '&one=0.3&three=0.2'),
        teacher('sums', ''),
        teacher('kinds', '&wrong=0.5'),
        teacher('tools', ''),
      ],
      phases: { instruct: {}, selfRefine: { maxSteps: 1, sampling: { maxNewTokens: 80 } } },
      evaluation: { maxNewTokens: 80, probing: true },
    });
    const prepared = await prepare(parsed, openMemoryRoot({}), { tokenizer }, { vocabSize: 477, maxPositions: 192 });
    const unprobed = 'left out of probing: there are no options to choose from';
    expect(prepared.warnings).toEqual([`stories: ${unprobed}`, `sums: ${unprobed}`]);
    expect([prepared.examples.length, prepared.refineItems.length]).toEqual([160, 160]);
    expect(prepared.summaries.map(({ tooLong, used }) => [tooLong, used])).toEqual(Array(4).fill([0, 40]));
    expect(prepared.tasks.map(({ items, summary }) => [items.length, summary.tooLong, summary.notes])).toEqual([
      [30, 0, [unprobed]],
      [30, 0, [unprobed]],
      [30, 0, []],
      [30, 0, []],
    ]);
    const kinds = prepared.summaries.find((summary) => summary.taskId === 'kinds')!;
    expect(kinds.teacherCorrect).toBeLessThan(30);
    const [question] = prepared.tasks[0]!.questions.bare.cot;
    expect(question!.ids[0]).toBe(1); // bos
    expect(tokenizer.decode(question!.ids)).toBe(question!.prompt);
  });
});

describe('an experiment', () => {
  it('must name a scripted teacher as one', () => {
    const path = 'lesson:stories/train?teacher=in-family';
    expect(() => parseExperiment(experiment('GPT-5', path))).toThrow(/demonstrations\[0\]\.label.*"scripted"/s);
    expect(parseExperiment(experiment('a Scripted teacher', path)).tasks).toHaveLength(1);
  });
});

describe('contents', () => {
  it('come with the items, so that errors can be counted by them: 1,000 sums have 485', () => {
    const path = 'lesson:sums/test?count=1000';
    const { items } = TASKS['lesson-sums'].load([{ path, text: lessonFileText(path) }]);
    expect(items).toHaveLength(1000);
    expect(new Set(items.map(({ content }) => content)).size).toBe(485);
    expect(items.every(({ content }) => content !== undefined)).toBe(true);
  });
});
