// studentProtocol.ts: what is said about students as such: those that are cached. Types only; SessionApi extends it.
import type { CachedStudent, VerifiedStudent } from '../storage/studentCache';

export type { CachedStudent, VerifiedStudent } from '../storage/studentCache';

/**
 * What a request asks of the cache of students. `auto` (when nothing is said): students that come over a network or from a
 * picked folder are kept in it and taken from it; `on`: others too; `refresh`: what is there is replaced; `off`: neither
 * read nor written.
 */
export type CacheUse = 'auto' | 'on' | 'refresh' | 'off';

/** Part of every request that loads a student. */
export interface CacheRequest {
  cache?: CacheUse;
}

export interface StudentApi {
  /** Newest use first. Empty where this session has no cache. */
  cachedStudents(): Promise<CachedStudent[]>;
  /** Computes every checksum anew. */
  verifyCachedStudent(key: string): Promise<VerifiedStudent>;
  /** Refused while it is loaded or written, here or in another tab. */
  deleteCachedStudent(key: string): Promise<void>;
}
