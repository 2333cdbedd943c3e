// studentCaches.ts: the one cache of students that a session works with: its own, or the one in a place that it was opened
// with. What a student needs of it is studentCaching.ts.
import { PupilError } from '../base/errors';
import type { FileRoot } from '../sources/fileRoot';
import type { CachePlace } from '../storage/cachePlace';
import { StudentCache } from '../storage/studentCache';
import type { StudentPlace } from './studentCaching';
import type { CachedStudent, CacheUse, VerifiedStudent } from './studentProtocol';

export interface CachePlaces {
  /** The session's own; absent: nothing is cached. */
  own?: CachePlace;
  /** A place for the students in a root that a session is opened with; undefined where it cannot be one. */
  at?: (root: FileRoot) => CachePlace | undefined;
}

export class StudentCaches {
  private cache: StudentCache | undefined;

  constructor(private readonly places: CachePlaces) {
    this.cache = places.own === undefined ? undefined : new StudentCache(places.own);
  }

  /** From now on the cache in this root, or the session's own. @throws PupilError `usage` where it cannot be there */
  use(root: FileRoot | undefined): void {
    if (root === undefined) return;
    const place = this.places.at?.(root);
    if (place === undefined) {
      throw new PupilError(
        'usage',
        `student cache: expected a place for it, this session cannot use a ${root.kind} root`,
      );
    }
    this.cache = new StudentCache(place);
  }

  /** What a request means that asks for this and whose files are in `root`; undefined where nothing is cached. */
  placeOf(use: CacheUse | undefined, root: FileRoot): StudentPlace | undefined {
    if (use === 'off') return undefined;
    if (this.cache !== undefined) return { cache: this.cache, use, root };
    if (use === 'on' || use === 'refresh') this.expectCache();
    return undefined;
  }

  list(): Promise<CachedStudent[]> {
    return this.cache?.list() ?? Promise.resolve([]);
  }

  async verify(key: string): Promise<VerifiedStudent> {
    return this.expectCache().verify(key);
  }

  async delete(key: string): Promise<void> {
    return this.expectCache().delete(key);
  }

  private expectCache(): StudentCache {
    if (this.cache !== undefined) return this.cache;
    throw new PupilError('usage', 'student cache: expected a session that has one, this one has none');
  }
}
