// leftovers.ts: files that a killed process, or a machine that lost its power, left half written in a run's folder: removed
// before the run goes on. Whole files are never touched; whether they are intact is the checkpoints' own check.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Names that a file has only until all of it is there: those of uploads.ts, diskFiles.ts and runFolder.ts. */
const HALF_WRITTEN = /^\..+\.[0-9a-f]{12,64}\.part$|\.writing(-\d+)?$/;

/** Never throws: what cannot be removed costs room, nothing else. */
export function removeLeftovers(folder: string): void {
  for (const place of [folder, join(folder, 'checkpoints')]) {
    try {
      for (const name of readdirSync(place)) if (HALF_WRITTEN.test(name)) rmSync(join(place, name), { force: true });
    } catch {
      // not there yet
    }
  }
}
