// lessonFiles.ts: files that are generated, not read: a path such as lesson:kinds/train?count=400&teacher=in-family is the
// JSON lines of these items, with a scripted teacher's answers where one is named. An experiment names them like any file,
// so that loaders, splits and teachers need to know nothing of it (dataFiles.ts reads both). It writes nothing to disk.
import { PupilError } from '../base/errors';
import { lessonRow } from '../tasks/lesson';
import { FAMILIES, lessonItems, type FamilyName, type ItemsWanted, type LessonItem } from '../tasks/lesson/families';
import { lessonScript } from '../tasks/lesson/script';
import {
  SCRIPTED_FAMILIES,
  scriptedAnswer,
  scriptedLabel,
  type ScriptedFamily,
  type ScriptedTeacher,
} from '../teachers/scripted';

const SCHEME = 'lesson:';

/** Parts that may be asked for. The development part is where settings are chosen. */
const PARTS = ['train', 'development', 'test'] as const;
const DEFAULT_COUNT = { train: 400, development: 500, test: 1000 } as const;

/** What a path asks for. */
export interface LessonFile {
  family: FamilyName;
  part: (typeof PARTS)[number];
  wanted: ItemsWanted;
  teacher?: ScriptedTeacher;
}

export const isLessonFile = (path: string): boolean => path.startsWith(SCHEME);

function refuse(path: string, expected: string): never {
  throw new PupilError(
    'config',
    `lesson file: expected ${expected}, got ${JSON.stringify(path)}`,
    'A path looks like lesson:stories/train?count=400&seed=0&one=0.3&teacher=in-family&wrong=0.1 or lesson:kinds/test?count=1000.',
  );
}

const within = <T extends string>(list: readonly T[], value: string | undefined): value is T =>
  (list as readonly (string | undefined)[]).includes(value);

/**
 * Reads a path: family, part, and count; for the training part also seed, teacher and wrong (the share of wrong
 * demonstrations); for stories one and three (shares of problems in one and in three steps; the rest has two).
 *
 * @throws PupilError `config` for anything else.
 */
export function parseLessonFile(path: string): LessonFile {
  const [place, query = ''] = path.slice(SCHEME.length).split('?', 2);
  const [family, part, ...more] = place!.split('/');
  if (!within(FAMILIES, family)) refuse(path, `one of ${FAMILIES.join(', ')} as family`);
  if (!within(PARTS, part) || more.length > 0) refuse(path, `one of ${PARTS.join(', ')} as part`);

  const fields = new URLSearchParams(query);
  const known = [
    'count',
    ...(family === 'stories' ? ['one', 'three'] : []),
    ...(part === 'train' ? ['seed', 'teacher', 'wrong'] : []),
  ];
  for (const name of fields.keys()) {
    if (!known.includes(name)) refuse(path, `only ${known.join(', ')} for ${part} of ${family}`);
  }
  const number = (name: string, otherwise: number, most: number, whole: boolean): number => {
    const text = fields.get(name);
    const value = text === null ? otherwise : Number(text);
    if (text === '' || !(value >= 0 && value <= most) || (whole && !Number.isInteger(value))) {
      refuse(path, `${whole ? 'an integer' : 'a number'} of 0 to ${most} as ${name}`);
    }
    return value;
  };
  const one = number('one', 0, 1, false);
  const three = number('three', 0, 1, false);
  if (one + three > 1) refuse(path, 'one + three of at most 1');
  const seed = number('seed', 0, 0xffffffff, true);
  const wanted = {
    count: number('count', DEFAULT_COUNT[part], 1e6, true),
    seed,
    steps: { one, two: 1 - one - three, three },
  };
  const teacher = fields.get('teacher');
  const wrongRate = number('wrong', 0, 1, false);
  if (teacher === null) {
    if (wrongRate > 0) refuse(path, 'a teacher, since wrong is given');
    return { family, part, wanted };
  }
  if (!within(SCRIPTED_FAMILIES, teacher)) refuse(path, `one of ${SCRIPTED_FAMILIES.join(', ')} as teacher`);
  return { family, part, wanted, teacher: { family: teacher satisfies ScriptedFamily, seed, wrongRate } };
}

/** The rows of a lesson file: those of the prototype's files, with an id, and who answered. */
export function lessonFileText(path: string): string {
  const { family, part, wanted, teacher } = parseLessonFile(path);
  const row = (item: LessonItem): object => {
    if (teacher === undefined) return lessonRow(item);
    const { text, wrong } = scriptedAnswer(lessonScript, item, teacher);
    return {
      ...lessonRow(item),
      teacher: scriptedLabel(teacher.family, teacher.wrongRate),
      teacher_answer: text,
      wrong,
    };
  };
  return lessonItems(family, part, wanted)
    .map((item) => `${JSON.stringify(row(item))}\n`)
    .join('');
}
