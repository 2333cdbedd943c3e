// studentFolder.ts: an experiment's student as a folder among a session's files, and what it is called in words. Texts only:
// nothing is looked for.
import { hubFolder, hubText } from './hubName';
import type { StudentConfig } from './schema';

type StudentSource = StudentConfig['source'];

/** How the path of a folder begins that a person picked in a page: `picked:NAME`. Only that page has it, until it is closed. */
const PICKED = 'picked:';

/** One of the root, a bundled one (`students/<name>`), or one that lies elsewhere (session/remoteFiles.ts reads those). */
export function studentFolder(source: StudentSource): string {
  switch (source.kind) {
    case 'directory':
      return source.path;
    case 'bundled':
      return `students/${source.name}`;
    case 'url':
      return bareUrl(source.url);
    case 'hub':
      return hubFolder(source);
  }
}

/** An address without query and fragment, which may hold secrets, and with a slash at its end. */
export function bareUrl(text: string): string {
  const url = new URL(text);
  return `${url.origin}${url.pathname.replace(/\/*$/, '/')}`;
}

/** The student of a folder that was picked. @param name of the folder. */
export const pickedSource = (name: string): StudentSource => ({
  kind: 'directory',
  // What ends a folder's name in a path is no part of it.
  path: PICKED + name.replace(/[/\\{}]/g, '_'),
});

/** Whether a student is one of a picked folder. */
export const isPicked = (source: StudentSource): boolean =>
  source.kind === 'directory' && source.path.startsWith(PICKED);

/** For labels and sentences. */
export function studentName(source: StudentSource): string {
  switch (source.kind) {
    case 'directory':
      return isPicked(source) ? `${source.path.slice(PICKED.length)} (picked folder)` : source.path;
    case 'bundled':
      return `${source.name} (comes with Pupil)`;
    case 'url':
      return bareUrl(source.url);
    case 'hub':
      return hubText(source).replace(/^hub:/, '');
  }
}
