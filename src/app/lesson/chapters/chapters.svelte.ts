// chapters.svelte.ts: the lesson's chapters as the page has them: the bundled ones, a teacher's own that this browser keeps, and
// which of them the address names. It reads documents (config/chapter.ts) and shows nothing.
import { PupilError } from '../../../base/errors';
import { parseChapter, type Chapter } from '../../../config/chapter';
import type { Address } from '../../state/address.svelte';
import type { KeyValue } from '../../state/keyValue';
import { toNotice, type Notice } from '../../state/notice';

export interface ListedChapter {
  /** From 1, in the order of the list. */
  number: number;
  chapter: Chapter;
  /** A teacher's, kept in this browser. */
  own: boolean;
}

/** A document of one's own that this version cannot read: kept as it is, so that nothing is lost. */
export interface UnreadChapter {
  id: string;
  text: string;
  problem: string;
}

const KEY = 'pupil-chapters';
/** Far more than a chapter needs; a larger file is something else. */
export const MOST_BYTES = 512 * 1024;

const files = import.meta.glob<unknown>('../../../../chapters/*.json', { eager: true, import: 'default' });
export const BUNDLED: readonly Chapter[] = Object.entries(files).map(([path, json]) => parseChapter(json, path));

const asFile = (chapter: Chapter): string => `${JSON.stringify(chapter, null, 2)}\n`;

export class Chapters {
  private own = $state.raw<readonly Chapter[]>([]);
  unread = $state.raw<readonly UnreadChapter[]>([]);
  /** What went wrong with a file or with keeping it. */
  notice = $state.raw<Notice>();
  /** What was just done, in words. */
  done = $state('');

  constructor(
    private readonly place: {
      address: Address;
      memory: KeyValue;
      save: (name: string, bytes: Uint8Array) => void;
    },
    private readonly bundled: readonly Chapter[] = BUNDLED,
  ) {
    this.recall();
  }

  readonly list: readonly ListedChapter[] = $derived.by(() =>
    [
      ...this.bundled.map((chapter) => ({ chapter, own: false })),
      ...this.own.map((chapter) => ({ chapter, own: true })),
    ]
      .sort((a, b) => a.chapter.order - b.chapter.order || a.chapter.title.localeCompare(b.chapter.title))
      .map((one, i) => ({ number: i + 1, ...one })),
  );

  /** What the address names; '' for the list. */
  readonly id = $derived.by(() => this.place.address.get('chapter'));
  private readonly at = $derived.by(() => this.list.findIndex(({ chapter }) => chapter.id === this.id));
  readonly current = $derived.by((): ListedChapter | undefined => this.list[this.at]);
  readonly next = $derived.by((): ListedChapter | undefined => (this.at < 0 ? undefined : this.list[this.at + 1]));
  readonly previous = $derived.by((): ListedChapter | undefined => this.list[this.at - 1]);

  link(id: string | undefined): string {
    return this.place.address.link({ chapter: id });
  }

  /** @param id of the chapter; undefined for the list. */
  open(id: string | undefined): void {
    this.place.address.set({ chapter: id }, 'push');
  }

  /** Files that a person picked or dropped: each is a chapter, or a problem is shown; good ones are kept all the same. */
  async add(picked: readonly File[]): Promise<void> {
    this.notice = undefined;
    this.done = '';
    const added: string[] = [];
    const problems: unknown[] = [];
    for (const file of picked) {
      try {
        added.push(this.keep(await readChapter(file)).title);
      } catch (error) {
        problems.push(error);
      }
    }
    if (added.length > 0) this.done = `Added to the list: ${added.map((title) => `“${title}”`).join(', ')}.`;
    const [first, ...more] = problems.map(toNotice);
    if (first === undefined) return;
    this.notice = { ...first, message: [first, ...more].map(({ message }) => message).join('\n\n') };
  }

  remove(id: string): void {
    this.notice = undefined;
    this.done = '';
    try {
      this.store(
        this.own.filter((chapter) => chapter.id !== id),
        this.unread.filter((one) => one.id !== id),
      );
      if (this.id === id) this.open(undefined);
    } catch (error) {
      this.notice = toNotice(error);
    }
  }

  /** The chapter as a file, a bundled one too: the simplest beginning of an own one. */
  download(id: string): void {
    const found = this.list.find(({ chapter }) => chapter.id === id);
    const text = found === undefined ? this.unread.find((one) => one.id === id)?.text : asFile(found.chapter);
    if (text !== undefined) this.place.save(`${id}.chapter.json`, new TextEncoder().encode(text));
  }

  private keep(chapter: Chapter): Chapter {
    if (this.bundled.some(({ id }) => id === chapter.id)) {
      throw new PupilError(
        'config',
        `own chapter: expected an id that no bundled chapter has, got "${chapter.id}"`,
        'Change "id" in the file, to the name of your class, say. The bundled chapter stays as it is.',
      );
    }
    this.store(
      [...this.own.filter(({ id }) => id !== chapter.id), chapter],
      this.unread.filter(({ id }) => id !== chapter.id),
    );
    return chapter;
  }

  /** Keeps both in the browser, or changes nothing. */
  private store(own: readonly Chapter[], unread: readonly UnreadChapter[]): void {
    const texts = [...own.map((chapter) => JSON.stringify(chapter)), ...unread.map(({ text }) => text)];
    try {
      if (texts.length === 0) this.place.memory.removeItem(KEY);
      else this.place.memory.setItem(KEY, JSON.stringify(texts));
    } catch (cause) {
      throw new PupilError(
        'storage-full',
        'own chapter: expected room for it in this browser, there is none',
        'Remove other chapters of your own, or let the browser keep data of this page; the file itself is untouched.',
        { cause },
      );
    }
    this.own = own;
    this.unread = unread;
  }

  private recall(): void {
    let texts: unknown;
    try {
      texts = JSON.parse(this.place.memory.getItem(KEY) ?? '[]');
    } catch {
      texts = [this.place.memory.getItem(KEY)];
    }
    const own: Chapter[] = [];
    const unread: UnreadChapter[] = [];
    for (const text of Array.isArray(texts) ? texts.map(String) : []) {
      try {
        own.push(parseChapter(text));
      } catch (error) {
        const id = /"id"\s*:\s*"([a-z0-9-]{1,40})"/.exec(text)?.[1] ?? `unread-${unread.length + 1}`;
        unread.push({ id, text, problem: toNotice(error).message });
      }
    }
    this.own = own;
    this.unread = unread;
  }
}

/** @throws PupilError `config` naming the file and what is wrong with it. */
async function readChapter(file: File): Promise<Chapter> {
  if (file.size > MOST_BYTES) {
    throw new PupilError(
      'config',
      `own chapter: expected a file of at most ${MOST_BYTES / 1024} KiB, ${file.name} has ${Math.ceil(file.size / 1024)} KiB`,
      'A chapter is text; pictures and data are no part of it.',
    );
  }
  return parseChapter(await file.text(), file.name);
}
