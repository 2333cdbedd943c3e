// fileRoot.ts: where named files are read from and written to: a file server, a model hub, a folder, files that a person
// picked, or contents at hand; one may be a folder of another. It hands out ByteSources and knows nothing of what is in them.
import { openBlobsRoot } from './blobs';
import { openDiskRoot } from './disk';
import { openHttpRoot } from './http';
import { openHubRoot, type HubOptions, type HubRoot } from './hub';
import { openMemoryRoot } from './memory';
import { isMounted, openMountedRoot } from './mounted';
import type { OpenRoot } from './openRoot';

/** Where named files are read from or written to. Paths are relative, with forward slashes. */
export type FileRoot =
  /** A file server (the CLI's, or any static one) with ranges; PUT when written to. `base` ends with a slash. */
  | { kind: 'http'; base: string }
  /** A folder of the machine; Node host only. */
  | { kind: 'disk'; directory: string }
  /** A model of a Hugging Face Hub, or of a server with its layout; read only. */
  | ({ kind: 'hub' } & HubRoot)
  /** Files of a person's machine by path, read a slice at a time; read only. */
  | { kind: 'blobs'; files: Record<string, Blob> }
  /** Another root as the folder `at` of one: a picked student, say, beside an experiment's files on a server. */
  | { kind: 'mounted'; at: string; root: FileRoot; rest: FileRoot }
  /** Contents at hand, for tests. Written files are added to `files`. */
  | { kind: 'memory'; files: Record<string, Uint8Array> };

/**
 * The files of a root. Nothing is fetched until a file is opened.
 * @param options of what is fetched over a network: how, where it is kept meanwhile, who is told, when to stop.
 */
export function openFileRoot(root: FileRoot, options: HubOptions = {}): OpenRoot {
  switch (root.kind) {
    case 'http':
      return openHttpRoot(root.base, options);
    case 'hub':
      return openHubRoot(root, options);
    case 'blobs':
      return openBlobsRoot(root.files);
    case 'disk':
      return openDiskRoot(root.directory);
    case 'mounted':
      return openMountedRoot(root.at, openFileRoot(root.root, options), openFileRoot(root.rest, options));
    case 'memory':
      return openMemoryRoot(root.files);
  }
}

/** The root that a path is really in: of a mounted one either the mounted, or the rest. */
export function rootHolding(root: FileRoot, path: string): FileRoot {
  if (root.kind !== 'mounted') return root;
  return isMounted(root.at, path) ? root.root : rootHolding(root.rest, path);
}
