// host.ts: where a verb's session runs: a page in headless Chrome (pageHost.ts) or this process on Dawn (nodeHost.ts).
// Types and the naming of files that both share; it starts nothing.
import { parse, relative, resolve, sep } from 'node:path';
import type { FileRoot, SessionApi } from '../session/protocol';

export interface HostOptions {
  kind: 'chrome' | 'node';
  /** Flags under which the browser is started; `auto` tries a GPU first. */
  gpu: string;
  /** Folder that keeps the browser's profile (or the node store) and port, so that a later run finds its storage. */
  keepIn?: string;
  /** How long a page may give no answer, and a browser take to close; absent: minutes and seconds that suit any machine. */
  patience?: { answerMs: number; closeMs: number };
  /** The one NVIDIA card that the browser may see, by nvidia-smi's number (cards.ts); all of them where absent. */
  card?: number;
  /** For messages that matter to a person but are no result. */
  note: (text: string) => void;
}

/** A way in which the browser was started, and what it gave. */
export interface TriedWay {
  way: string;
  flags: string;
  gave: string;
}

/** One session and the way files reach it. */
export interface Host {
  readonly session: SessionApi;
  /** What it runs in: the browser with its version and flags, or Node. For `doctor`. */
  readonly about: Readonly<Record<string, string>>;
  /** The ways in which the browser was started, the last of them kept; none in Node. */
  readonly tried?: readonly TriedWay[];
  /**
   * A root under which the session may read these files and folders (absolute paths). Paths within it are made by
   * {@link pathInRoot}, the same for every host, so that a run's document does not depend on its host.
   */
  reads(paths: readonly string[]): FileRoot;
  /** The same for files to be written and folders to be written into. */
  writes(paths: readonly string[]): FileRoot;
  /** A folder of its own as a root, read and written: what a run puts out. */
  folder(path: string): FileRoot;
  /** The same of a folder that is Pupil's own, where the session may also delete and lock. */
  own(path: string): FileRoot;
  /** Ends everything that was started for this host. */
  close(): Promise<void>;
}

/**
 * A path of this machine as the session names it: absolute, with forward slashes. So messages name files as people do, and
 * the experiment in a report can be run again as it stands.
 */
export function pathInRoot(path: string): string {
  const full = resolve(path);
  return `/${relative(parse(full).root, full).split(sep).join('/')}`;
}
