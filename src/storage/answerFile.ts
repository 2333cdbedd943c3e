// answerFile.ts: a teacher's answers as lines of a file, {"key", "text"} each, which is only ever appended to: for the command
// line. A line that a crash tore is left as it is and counts as nothing; of several lines with one key the last counts.
// Never loaded by a browser.
import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PupilError } from '../base/errors';
import { pick, type AnswerStore } from './answerStore';

interface Line {
  key: string;
  text: string;
}

function readLine(line: string): Line | undefined {
  try {
    const value = JSON.parse(line) as Partial<Line> | null;
    return typeof value?.key === 'string' && typeof value.text === 'string'
      ? { key: value.key, text: value.text }
      : undefined;
  } catch {
    return undefined;
  }
}

const BEGINNING = '{"key":"';

function expectOwn(path: string, content: string): void {
  const [first = ''] = content.split('\n', 1);
  // The very first line may be a torn one, too.
  if (BEGINNING.startsWith(first.slice(0, BEGINNING.length))) return;
  throw new PupilError(
    'format',
    `${path}: expected a cache of answers or a new file, the first line is of something else`,
    'Name another file as the cache.',
  );
}

export class AnswerFile implements AnswerStore {
  private readonly texts = new Map<string, string>();
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    /** The last line has no end: the next begins with one. */
    private torn: boolean,
  ) {}

  /**
   * Opens the file, or makes it.
   *
   * @throws PupilError `storage` where that is refused, `format` for a file whose first line is of something else: Pupil
   *   adds nothing to files that are not its own.
   */
  static async open(path: string): Promise<AnswerFile> {
    let content: string;
    let file: FileHandle;
    try {
      await mkdir(dirname(path), { recursive: true });
      content = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return '';
        throw error;
      });
      expectOwn(path, content);
      file = await open(path, 'a');
    } catch (cause) {
      throw cause instanceof PupilError ? cause : fileError(path, 'opening it', cause);
    }
    const store = new AnswerFile(path, file, content !== '' && !content.endsWith('\n'));
    for (const line of content.split('\n')) {
      const read = readLine(line);
      if (read !== undefined) store.texts.set(read.key, read.text);
    }
    return store;
  }

  loadAnswers(keys: readonly string[]): Promise<Map<string, string>> {
    return Promise.resolve(pick(this.texts, keys));
  }

  /** Resolves when the line is on the disk, one line after the other. */
  saveAnswer(key: string, text: string): Promise<void> {
    const written = this.writing.then(async () => {
      try {
        await this.file.appendFile(`${this.torn ? '\n' : ''}${JSON.stringify({ key, text })}\n`);
        await this.file.datasync();
      } catch (cause) {
        this.torn = true; // part of the line may be there
        throw fileError(this.path, 'adding an answer', cause);
      }
      this.torn = false;
      this.texts.set(key, text);
    });
    this.writing = written.catch(() => undefined);
    return written;
  }

  async close(): Promise<void> {
    await this.writing;
    await this.file.close();
  }
}

function fileError(path: string, doing: string, cause: unknown): PupilError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  return new PupilError(
    full ? 'storage-full' : 'storage',
    `${path}: ${doing} failed: ${message}`,
    full ? 'Free some space, then go on: what was answered before is kept.' : 'Check the path and its rights.',
    { cause },
  );
}
