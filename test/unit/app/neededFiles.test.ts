// neededFiles.test.ts: where this page finds what a run of the command line was made from: served with the page, in a picked folder, or
// nowhere; and that a session is given each under the name that the experiment has for it.
import { describe, expect, it } from 'vitest';
import { filesHere, neededFiles, type Places } from '../../../src/app/state/neededFiles';
import { parseExperiment, type Experiment } from '../../../src/config/experiment';
import { preset } from '../../../src/config/presets';
import { openFileRoot, rootHolding } from '../../../src/sources/fileRoot';

const PAGE = 'https://page.test/pupil/';
const smoke = preset('smoke');
const DATA = '/home/she/data/';

/** As the command line resolves it on its machine. */
const made = (student: string, files: { train: string[]; test: string[] }): Experiment =>
  parseExperiment({
    ...smoke,
    student: { ...smoke.student, source: { kind: 'directory', path: student } },
    tasks: [{ ...smoke.tasks[0]!, files }],
    demonstrations: [{ ...smoke.demonstrations[0]!, files: files.train }],
    evaluation: { ...smoke.evaluation, probing: false },
  });
const lesson = { train: ['lesson:stories/train?count=12'], test: ['lesson:stories/test?count=8'] };
const own = { train: [`${DATA}a/train.jsonl`], test: [`${DATA}a/test.jsonl`] };

const blobs = (...paths: string[]): Places['files'] => paths.map((path) => ({ path, blob: new Blob([path]) }));
const places = (files: Places['files'] = [], more: Partial<Places> = {}): Places => ({
  files,
  pickedStudents: {},
  pageBase: PAGE,
  ...more,
});
const told = (experiment: Experiment, where: Places): string[] =>
  neededFiles(experiment, where).map(({ path, what, from }) => `${what} ${path} ${from}`);
const text = async (experiment: Experiment, where: Places, path: string): Promise<string> =>
  openFileRoot(filesHere(neededFiles(experiment, where), PAGE)).readText(path);

describe('what a run needs', () => {
  it('is nothing where its student comes with the page and its questions are generated', () => {
    const experiment = made('/opt/pupil/public/students/lesson', lesson);
    expect(told(experiment, places())).toEqual(['student /opt/pupil/public/students/lesson page']);
    const files = filesHere(neededFiles(experiment, places()), PAGE);
    expect(rootHolding(files, '/opt/pupil/public/students/lesson/config.json')).toEqual({
      kind: 'http',
      base: `${PAGE}students/lesson/`,
    });
    expect(rootHolding(files, 'elsewhere')).toEqual({ kind: 'http', base: PAGE });
    // Of another name, it is another student.
    expect(told(made('/x/students/llama', lesson), places())).toEqual(['student /x/students/llama nowhere']);
  });

  it('are files of its machine, found in a picked folder by the ends of their paths', async () => {
    const experiment = made('/x/students/lesson', own);
    expect(told(experiment, places())).toEqual([
      'student /x/students/lesson page',
      `data ${DATA}a/train.jsonl nowhere`,
      `data ${DATA}a/test.jsonl nowhere`,
    ]);
    const half = places(blobs('a/train.jsonl', 'other.txt'));
    expect(told(experiment, half).map((one) => one.split(' ')[2])).toEqual(['page', 'picked', 'nowhere']);
    const whole = places(blobs('deep/a/train.jsonl', 'deep/a/test.jsonl'));
    expect(told(experiment, whole).map((one) => one.split(' ')[2])).toEqual(['page', 'picked', 'picked']);
    expect(await text(experiment, whole, own.train[0]!)).toBe('deep/a/train.jsonl');
    expect(await text(experiment, whole, own.test[0]!)).toBe('deep/a/test.jsonl');
  });

  it('a student’s folder by its name, or any folder with a config.json at its top, or one picked in the Lab', async () => {
    const experiment = made('/models/tiny', lesson);
    const named = places(blobs('tiny/config.json', 'tiny/model.safetensors', 'more.txt'));
    expect(await text(experiment, named, '/models/tiny/config.json')).toBe('tiny/config.json');
    const renamed = places(blobs('config.json', 'model.safetensors'));
    expect(await text(experiment, renamed, '/models/tiny/model.safetensors')).toBe('model.safetensors');
    await expect(text(experiment, renamed, '/models/tiny/more.txt')).rejects.toMatchObject({ code: 'source' });
    const picked = made('picked:tiny', lesson);
    expect(told(picked, places())).toEqual(['student picked:tiny nowhere']);
    const known = places([], { pickedStudents: { 'picked:tiny': { 'config.json': new Blob(['lab']) } } });
    expect(told(picked, known)).toEqual(['student picked:tiny picked']);
    expect(await text(picked, known, 'picked:tiny/config.json')).toBe('lab');
  });

  it('is told apart: a tokenizer beside the data, and what a hub, a server or this browser keeps is none', () => {
    const { student } = smoke;
    const tokenizer = { kind: 'words' as const, path: '/x/vocab.json' };
    const experiment = parseExperiment({
      ...made('/x/tiny', own),
      student: { ...student, source: { kind: 'hub', repo: 'owner/name' }, tokenizer },
      demonstrations: [{ ...smoke.demonstrations[0]!, files: ['kept:mine-abc.jsonl'] }],
    });
    expect(told(experiment, places())).toEqual([
      'tokenizer /x/vocab.json nowhere',
      `data ${DATA}a/train.jsonl nowhere`,
      `data ${DATA}a/test.jsonl nowhere`,
    ]);
  });
});
