// savedExperiments.ts: experiments that a person saved in this browser under names of their own, and those that came from files. It
// keeps documents as they are, valid or not yet.
import { PupilError } from '../../base/errors';
import type { KeyValue } from './keyValue';

export interface SavedExperiment {
  name: string;
  document: unknown;
  /** What the address said of it when it was last looked at: a reload finds it by that. */
  address?: string;
}

const KEY = 'pupil-saved-experiments';

/** What a damaged or foreign entry is not. */
const isSaved = (value: unknown): value is SavedExperiment =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as SavedExperiment).name === 'string' &&
  'document' in value;

export class SavedExperiments {
  constructor(private readonly memory: KeyValue) {}

  list(): SavedExperiment[] {
    try {
      const found: unknown = JSON.parse(this.memory.getItem(KEY) ?? '[]');
      return Array.isArray(found) ? found.filter(isSaved) : [];
    } catch {
      return []; // damaged: nothing that could be shown
    }
  }

  /** A name that is not taken yet: `Mine`, `Mine (2)`. */
  freeName(wanted: string): string {
    const taken = new Set(this.list().map(({ name }) => name));
    let name = wanted;
    for (let n = 2; taken.has(name); n++) name = `${wanted} (${n})`;
    return name;
  }

  /** Adds it, or replaces the one of its name. @throws PupilError `storage-full`. */
  put(saved: SavedExperiment): void {
    const list = this.list();
    const at = list.findIndex(({ name }) => name === saved.name);
    this.write(at === -1 ? [...list, saved] : list.with(at, saved));
  }

  remove(name: string): void {
    this.write(this.list().filter((one) => one.name !== name));
  }

  rename(from: string, to: string): void {
    this.write(this.list().map((one) => (one.name === from ? { ...one, name: to } : one)));
  }

  private write(list: SavedExperiment[]): void {
    try {
      if (list.length === 0) this.memory.removeItem(KEY);
      else this.memory.setItem(KEY, JSON.stringify(list));
    } catch (cause) {
      throw new PupilError(
        'storage-full',
        'This browser has no room to keep the experiment.',
        'Download it, or delete saved experiments or runs.',
        { cause },
      );
    }
  }
}
