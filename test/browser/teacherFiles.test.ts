// teacherFiles.test.ts: demonstrations and tasks of a person's own in the page: picked or dropped, guessed, corrected, looked
// at, used; every row left out is there with its reason; the experiment is changed, visibly, over a reload, and back again.
import { afterEach, describe, expect, it } from 'vitest';
import type { DemonstrationsConfig } from '../../src/config/experiment';
import { lessonFileText } from '../../src/session/lessonFiles';
import { button, removePages, settle } from './fakePage';
import {
  drop,
  field,
  lines,
  Memory,
  mixtureOf,
  part,
  pick,
  set,
  TeachingSession,
  teachersPage,
  until,
  type Page,
} from './teachingPage';

afterEach(removePages);

const DISK = 'Demonstrations from files';
const OWN = 'A task of your own';

/** Questions of the lesson's training part, as another teacher might have answered them. */
const rows = lessonFileText('lesson:stories/train?seed=0&count=400&one=0.3')
  .trim()
  .split('\n')
  .map((line) => {
    const { plain_prompt: prompt, target } = JSON.parse(line) as { plain_prompt: string; target: string };
    return { text: /Question: (.*)/.exec(prompt)![1]!, target };
  });

const experimentOf = ({ playground }: Page) => playground.experiments.checked.experiment!;
const added = (page: Page): DemonstrationsConfig => experimentOf(page).demonstrations.at(-1)!;

describe('demonstrations from files', () => {
  it('are guessed, previewed right or wrong, corrected by selects, and used as a teacher of the experiment', async () => {
    const page = await teachersPage(new TeachingSession());
    const disk = part(page.panel, DISK);
    const file = lines(
      { ask: rows[0]!.text, thoughts: `So it is so. The answer is ${rows[0]!.target}.`, gold: 'x' },
      { ask: rows[1]!.text, thoughts: 'The answer is 123456.', gold: 'x' },
      ...Array.from({ length: 45 }, (_, i) => ({ ask: `What is unknown ${i}?`, thoughts: 'Nothing.', gold: 'x' })),
    );
    pick(field(disk, 'Answers of a teacher'), ['mine.jsonl', `${file}\n{broken`]);
    await until(() => disk.innerText.includes('Guessed fields'));
    expect(disk.innerText).toContain('Please check the choice of fields');
    expect(disk.innerText).toContain('0 demonstrations');
    expect(() => button(disk, 'Put away')).not.toThrow();
    set(field(disk, 'Question'), 'ask');
    set(field(disk, 'Answer with'), 'thoughts');
    await until(() => disk.innerText.includes('2 demonstrations'));
    expect(disk.innerText).toContain('2 of 120 training questions of A stories have one');
    expect(disk.innerText).toContain('50.0 %');
    expect([...disk.querySelectorAll('ol .head')].map((head) => head.textContent!.includes('✓ right'))).toEqual([
      true,
      false,
    ]);
    expect(disk.querySelector('ol pre')!.textContent).toContain(rows[0]!.text);

    // All 46 rows, 20 a page, and as a file.
    const out = disk.querySelector<HTMLDetailsElement>('details:has(table)')!;
    expect(out.querySelector('summary')!.textContent).toContain('46 rows are left out');
    out.open = true;
    expect(out.querySelectorAll('tbody tr')).toHaveLength(20);
    button(out, 'Last page of rows left out').click();
    await settle();
    expect(out.querySelectorAll('tbody tr')).toHaveLength(6);
    expect(out.innerText).toContain('not JSON');
    button(out, 'Download this list').click();
    const list = page.saved.get('mine-left-out.txt')!.trim().split('\n');
    expect(list).toHaveLength(46);
    expect(list.at(-1)).toMatch(/^mine\.jsonl:48\tnot JSON/);

    set(field(disk, 'Teacher’s name'), 'me');
    set(field(disk, 'train on wrong'), false);
    await until(() => disk.innerText.includes('2 demonstrations'));
    button(disk, 'Use in the experiment').click();
    await until(() => disk.innerText.includes('2 demonstrations by me: in the experiment now'));
    expect(experimentOf(page).demonstrations).toHaveLength(2);
    expect(added(page)).toMatchObject({
      label: 'me',
      task: 'A stories',
      format: 'fields',
      fields: { question: 'ask', answer: 'thoughts' },
      keepWrong: false,
    });
    expect(added(page).files[0]).toMatch(/^kept:mine-[a-p]{8}\.jsonl$/);
    const fold = page.root.querySelector<HTMLDetailsElement>('details.file')!;
    fold.open = true;
    await until(() => fold.querySelector('pre') !== null);
    expect(fold.querySelector('pre')!.textContent).toContain(added(page).files[0]);
    expect(page.text()).toContain('changed by you');
    // A run reads that very file.
    expect(
      await (page.playground.teachers as never as { place: { session: TeachingSession } }).place.session.keptFile(
        added(page).files[0]!,
      ),
    ).toHaveLength(new TextEncoder().encode(`${file}\n{broken`).byteLength);
  });

  it('of a known form need no correction; dropped, they may take the place of the teachers there are', async () => {
    const page = await teachersPage(new TeachingSession());
    const disk = part(page.panel, DISK);
    drop(disk.querySelector('.pick')!, [
      'chat.json',
      JSON.stringify([
        {
          messages: [
            { role: 'user', content: rows[2]!.text },
            { role: 'assistant', content: `The answer is ${rows[2]!.target}.` },
          ],
        },
      ]),
    ]);
    await until(() => disk.innerText.includes('Guessed chat'));
    expect(disk.innerText).not.toContain('Please check');
    await until(() => disk.innerText.includes('1 demonstration;'));
    set(field(disk, 'in place of'), true);
    button(disk, 'Use in the experiment').click();
    await until(() => experimentOf(page).demonstrations.length === 1 && added(page).label === 'chat');
    const mixture = mixtureOf(page);
    await until(() => mixture.innerText.includes('1 in training · 100.0 % right'));
  });

  it('that are no data are refused with a reason, and nothing is changed', async () => {
    const page = await teachersPage(new TeachingSession());
    const disk = part(page.panel, DISK);
    pick(field(disk, 'Answers of a teacher'), ['x.json', 'version https://git-lfs.github.com/spec/v1\n']);
    await until(() => disk.innerText.includes('These files cannot be read so'));
    expect(disk.innerText).toContain('LFS');
    expect(page.playground.experiments.isChanged).toBe(false);
    pick(field(disk, 'Answers of a teacher'), [
      'y.json',
      lines({ question: rows[0]!.text, 'chain-of-thought': 'A: 5' }),
    ]);
    await until(() => disk.innerText.includes('Guessed llm-adapters'));
    expect(disk.querySelector('[role="alert"]')).toBeNull();
  });
});

describe('a task of one’s own', () => {
  const CSV = [
    'Nr,Question,A,B,Right',
    '1,Which flies?,owl,cod,A',
    '2,Which swims?,owl,cod,B',
    '3,which swims?,owl,cod,A',
    '4,Which runs?,dog,cod,C',
    '5,Which barks?,dog,cod,A',
  ].join('\n');

  it('is guessed, corrected, counted with repetitions and contradictions, and added; over a reload; and undone', async () => {
    const memory = new Memory();
    const session = new TeachingSession();
    const page = await teachersPage(session, memory);
    const own = part(page.panel, OWN);
    pick(field(own, 'Questions with'), ['Zoo quiz.csv', CSV]);
    await until(() => own.innerText.includes('no column looks like the answer'));
    set(field(own, 'Question'), 'Question');
    set(field(own, 'Right answer'), 'Right');
    await until(() => own.innerText.includes('rows are left out')); // without options a letter is no answer
    set(field(own, 'A'), true);
    set(field(own, 'B'), true);
    await until(() => own.innerText.includes('4: 3 train, 1 test') || own.innerText.includes('4: 2 train, 2 test'));
    expect(own.innerText).toContain('1 row is left out');
    expect(own.innerText).toContain('1 (they stay on one side)');
    expect(own.innerText).toContain('1 question has different answers, such as “Which swims?”');
    set(field(own, 'Order'), 'file');
    set(field(own, 'Training items'), '1');
    await until(() => own.innerText.includes('4: 1 train, 3 test'));
    set(field(own, 'Id'), 'Nr');
    await until(() => own.querySelector('ol .head')!.textContent!.includes('target A · 1'));
    button(own, 'Add to the experiment').click();
    await until(() => own.innerText.includes('is a task of the experiment now'));
    const task = experimentOf(page).tasks.at(-1)!;
    expect(task).toMatchObject({
      id: 'custom',
      name: 'Zoo quiz',
      mapping: { question: 'Question', target: 'Right', choices: ['A', 'B'], id: 'Nr' },
      split: { order: 'file', trainCount: 1 },
      use: ['evaluate'],
    });

    removePages();
    const again = await teachersPage(session, memory);
    expect(experimentOf(again).tasks.at(-1)).toEqual(task);
    // With demonstrations it is trained on as well.
    const disk = part(again.panel, DISK);
    pick(field(disk, 'Answers of a teacher'), ['zoo.csv', 'prompt,completion\nWhich flies?,Owls do: A\n']);
    await until(() => disk.innerText.includes('Guessed prompt-completion'));
    set(field(disk, 'Task'), 'Zoo quiz');
    await until(() => disk.innerText.includes('1 of 1 training questions of Zoo quiz'));
    button(disk, 'Use in the experiment').click();
    await until(() => added(again).task === 'Zoo quiz');
    expect(experimentOf(again).tasks.at(-1)!.use).toEqual(['instruct', 'selfRefine', 'evaluate']);
    button(again.root, 'Undo changes').click();
    await settle();
    expect(experimentOf(again).tasks).toHaveLength(4);
    expect(memory.texts.size).toBe(0);
  });

  it('with a test file of its own: what is tested is not trained on', async () => {
    const page = await teachersPage(new TeachingSession());
    const own = part(page.panel, OWN);
    pick(field(own, 'Questions with'), ['q.csv', 'question,answer\nHow many legs?,4\nHow many eyes?,2\n']);
    await until(() => own.innerText.includes('2: 1 train, 1 test'));
    pick(field(own, 'Test questions'), ['q.csv', 'question,answer\nhow many LEGS?,4\n']);
    await until(() => own.innerText.includes('3: 1 train, 1 test, 1 left out'));
    expect(own.innerText).toContain('1 (left out of training)');
    button(own, 'Add to the experiment').click();
    await until(() => own.innerText.includes('is a task of the experiment now'));
    const { files } = experimentOf(page).tasks.at(-1)! as { files: { train: string[]; test: string[] } };
    expect(files.train[0]).not.toBe(files.test[0]);
    // A second one of that name is refused, with the reason, and nothing is lost.
    pick(field(own, 'Questions with'), ['q.csv', 'question,answer\nHow many arms?,2\n']);
    await until(() => own.innerText.includes('1: 1 train'));
    button(own, 'Add to the experiment').click();
    await until(() => own.innerText.includes('a name no other task has'));
    expect(experimentOf(page).tasks).toHaveLength(5);
    expect(own.innerText).toContain('q.csv');
  });
});
