// students.ts: `pupil students`: the students that are kept packed in a cache folder: list, verify, delete. It needs neither a
// GPU nor a browser; those of a browser's own storage are in its page.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { PupilError } from '../../base/errors';
import type { CachedStudent } from '../../session/protocol';
import { perform, type VerbContext } from '../context';
import { studentFolder } from '../options';

interface StudentsFlags {
  cache?: string;
  json?: boolean;
}

/** As many digits of a key as a list shows; any unique beginning names a student. */
const SHOWN_DIGITS = 12;

const folderOf = ({ cache }: StudentsFlags): string => (cache === undefined ? studentFolder() : resolve(cache));

function size(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** One line for people. */
function lineOf(student: CachedStudent): string {
  const { key, settings, sizeBytes, madeAt, usedAt, source, problem } = student;
  const day = (time: string | undefined): string => (time ?? '–').slice(0, 16).replace('T', ' ').padEnd(16);
  const packed = (settings?.quantize ?? 'unreadable').padEnd(10);
  return `${key.slice(0, SHOWN_DIGITS)}  ${size(sizeBytes).padStart(11)}  ${packed}  ${day(madeAt)}  ${day(usedAt)}  ${problem ?? source}`;
}

/** The student that a key, or its beginning, names. @throws PupilError `usage` for none or several */
function chosen(students: readonly CachedStudent[], key: string): CachedStudent {
  const found = students.filter((student) => student.key.startsWith(key.toLowerCase()));
  if (found.length === 1 && key !== '') return found[0]!;
  throw new PupilError(
    'usage',
    `students: expected the key of one cached student, "${key}" is that of ${found.length === 0 ? 'none' : found.length}`,
    'Keys are in: pupil students list.',
  );
}

export function registerStudents(program: Command, context: VerbContext): void {
  const students = program
    .command('students')
    .description('list, verify or delete the students that are kept packed for the GPU');

  const verb = (name: string, description: string): Command =>
    students
      .command(name)
      .description(description)
      .option('--cache <dir>', "the folder (default: in Pupil's cache; PUPIL_CACHE names another place for that)")
      .option('--json', 'one JSON object a line on stdout');

  verb('path', 'print the folder').action((flags: StudentsFlags) =>
    perform(context, flags.json === true, (output) => {
      const folder = folderOf(flags);
      output.result('students-path', { folder }, () => folder);
      return Promise.resolve(0);
    }),
  );

  verb('list', 'key, size, packing, when made, when last used, source').action((flags: StudentsFlags) =>
    perform(context, flags.json === true, async (output) => {
      const cache = await openCache(flags);
      const all = await cache.list();
      if (flags.json !== true && all.length === 0) output.note(`no cached students in ${folderOf(flags)}`);
      for (const student of all) output.result('cached-student', { ...student }, () => lineOf(student));
      return 0;
    }),
  );

  verb('verify', 'compute checksums anew: of one student, or of all; exit code 1 where one differs')
    .argument('[key]', 'of the list; its beginning suffices')
    .action((key: string | undefined, flags: StudentsFlags) =>
      perform(context, flags.json === true, async (output) => {
        const cache = await openCache(flags);
        const all = (await cache.list()).filter(({ problem }) => problem === undefined);
        let damaged = false;
        for (const student of key === undefined ? all : [chosen(all, key)]) {
          const found = await cache.verify(student.key, (done, total) =>
            output.progress({ task: `Verifying ${student.source}`, done, total, unit: 'bytes' }),
          );
          damaged ||= found.problems.length > 0;
          output.result('verified-student', { ...found }, () =>
            [
              `${student.key.slice(0, SHOWN_DIGITS)}  ${found.problems.length === 0 ? `whole (${found.pieces} checksums)` : 'DAMAGED'}  ${student.source}`,
              ...found.problems.map((problem) => `  ${problem}`),
            ].join('\n'),
          );
        }
        return damaged ? 1 : 0;
      }),
    );

  verb('delete', 'delete one student, or all')
    .argument('[key]', 'of the list; its beginning suffices')
    .option('--all', 'in place of a key')
    .action((key: string | undefined, flags: StudentsFlags & { all?: boolean }) =>
      perform(context, flags.json === true, async (output) => {
        if ((key === undefined) === (flags.all !== true)) {
          throw new PupilError('usage', 'students delete: expected a key or --all, got neither or both');
        }
        const cache = await openCache(flags);
        const all = await cache.list();
        for (const student of key === undefined ? all : [chosen(all, key)]) {
          await cache.delete(student.key);
          output.result('deleted-student', { key: student.key, sizeBytes: student.sizeBytes }, () => {
            return `deleted ${student.key.slice(0, SHOWN_DIGITS)}  ${size(student.sizeBytes)}  ${student.source}`;
          });
        }
        return 0;
      }),
    );
}

/** Loaded here, since other verbs need none of it. */
async function openCache(flags: StudentsFlags): ReturnType<(typeof import('../nodeHost'))['cachedStudentsIn']> {
  const { cachedStudentsIn } = await import('../nodeHost');
  return cachedStudentsIn(folderOf(flags));
}
