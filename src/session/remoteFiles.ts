// remoteFiles.ts: models that lie elsewhere, as folders among a session's files: `hub:owner/name@revision` and full URLs are read
// whatever root the other files are in. So a student and an adapter may come from anywhere, for every piece of work. The
// token is kept here, in memory, and goes to the server it was given for and to no other.
import type { PieceStore } from '../base/pieces';
import { expectEndpoint, HUB_ENDPOINT, splitHubPath } from '../config/hubName';
import { openFileRoot } from '../sources/fileRoot';
import { openHubRoot, type HubOptions, type OpenHubRoot } from '../sources/hub';
import type { OpenRoot } from '../sources/openRoot';
import type { HubSettings } from './studentSources';

export class RemoteFiles {
  private settings: HubSettings = {};

  /** @param pieces keeps what was downloaded until it is loaded; absent: nothing is kept. */
  constructor(private readonly pieces?: PieceStore) {}

  /** @throws PupilError `config` for an endpoint or a token that cannot be one; nothing has changed then. */
  set(settings: HubSettings): void {
    const { endpoint, token } = settings;
    const next = {
      ...(endpoint === undefined ? {} : { endpoint: expectEndpoint(endpoint) }),
      ...(token === undefined ? {} : { token }),
    };
    openHubRoot({ repo: 'owner/name', ...next }); // refuses a bad token now, not in the middle of a run
    this.settings = next;
  }

  /** `files` and everything elsewhere. Each name of a model becomes a commit once, at its first file. */
  beside(files: OpenRoot, options: Pick<HubOptions, 'signal' | 'onWarning' | 'onBytes'> = {}): OpenRoot {
    if (this.pieces !== undefined && options.onWarning !== undefined) this.pieces.onWarning = options.onWarning;
    const models = new Map<string, OpenHubRoot>();
    const web = openFileRoot({ kind: 'http', base: 'http://localhost/' }, options); // full URLs only

    const modelOf = (path: string): { model: OpenHubRoot; path: string } | undefined => {
      const split = splitHubPath(path);
      if (split === undefined) return undefined;
      const own = this.settings.endpoint ?? HUB_ENDPOINT;
      const endpoint = split.name.endpoint ?? own;
      const { token } = this.settings;
      const key = JSON.stringify([endpoint, split.name.repo, split.name.revision]);
      let model = models.get(key);
      if (model === undefined) {
        model = openHubRoot(
          { ...split.name, endpoint, ...(token !== undefined && endpoint === own ? { token } : {}) },
          { ...options, ...(this.pieces === undefined ? {} : { pieces: this.pieces }) },
        );
        models.set(key, model);
      }
      return { model, path: split.path };
    };
    const placeOf = (path: string): { root: OpenRoot; path: string } => {
      if (/^https?:\/\//i.test(path)) return { root: web, path };
      const found = modelOf(path);
      return found === undefined ? { root: files, path } : { root: found.model, path: found.path };
    };
    return {
      description: files.description,
      // async, so that a bad name is a rejection and never a throw at the call
      open: async (path) => {
        const place = placeOf(path);
        return place.root.open(place.path);
      },
      readBytes: async (path) => {
        const place = placeOf(path);
        return place.root.readBytes(place.path);
      },
      readText: async (path) => {
        const place = placeOf(path);
        return place.root.readText(place.path);
      },
      write: (path, bytes) => files.write(path, bytes),
      create: (path) => files.create(path),
      pinned: async (folder) => (await modelOf(folder)?.model.pinned()) ?? folder,
      loaded: async (folder) => {
        await modelOf(folder)?.model.forgetPieces();
      },
    };
  }
}
