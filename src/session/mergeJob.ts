// mergeJob.ts: what exportStudent.ts hands to the formats that merged weights are written in (exportMerged.ts, exportGguf.ts).
// A type, and nothing else.
import type { OpenRoot } from '../sources/openRoot';
import type { MergeSettings, RoundingAccount } from './mergedTensor';

/** What writing the merged weights takes, whatever the format. */
export interface MergeJob {
  settings: MergeSettings;
  account: RoundingAccount;
  out: OpenRoot;
  shardBytes?: number;
  /** Paths of what has been written. */
  written: string[];
  /** Writes a small file, and lists it. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** One more tensor is being written. */
  advance(): void;
}
