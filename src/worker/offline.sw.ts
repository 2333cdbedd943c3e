// offline.sw.ts: the page's service worker: after the first visit the lesson works without a network. Files that the build
// names are fetched ahead and served from the cache, other files of the same server are kept once they were asked for; the
// page itself is asked from the network first, so that a new version shows. It touches nothing of other servers, no runs
// (IndexedDB) and no students (OPFS).
import { createPartialResponse } from 'workbox-range-requests';
import { cleanupOutdatedCaches, matchPrecache, precache } from 'workbox-precaching';
import { registerRoute, setDefaultHandler } from 'workbox-routing';
import { NetworkFirst, NetworkOnly } from 'workbox-strategies';

/** Of scripts/pageOffline.mjs; paths are relative to the page. */
declare const __FILES_AHEAD__: { url: string; revision: string | null }[];

/** How long the page waits for a network that is there and answers nothing. */
const NETWORK_SECONDS = 4;

precache(__FILES_AHEAD__);
// A new version waits until all tabs of the old one are closed: a run in one of them may still fetch code of its own version.
cleanupOutdatedCaches();

const page = new NetworkFirst({ cacheName: 'pupil-page', networkTimeoutSeconds: NETWORK_SECONDS });
const others = new NetworkFirst({ cacheName: 'pupil-others' });

/** The cached file, whatever the query says: the page's state is in its query. */
async function ahead(request: Request): Promise<Response | undefined> {
  const url = new URL(request.url);
  url.search = '';
  url.hash = '';
  if (url.pathname.endsWith('/')) url.pathname += 'index.html';
  const found = await matchPrecache(url.href);
  if (found === undefined) return undefined;
  return request.headers.has('range') ? createPartialResponse(request, found) : found;
}

registerRoute(
  ({ request, sameOrigin }) => sameOrigin && request.mode === 'navigate',
  async ({ request, event }) => {
    try {
      return await page.handle({ request, event });
    } catch (error) {
      const kept = await ahead(request);
      if (kept !== undefined) return kept;
      throw error;
    }
  },
);

registerRoute(
  ({ sameOrigin }) => sameOrigin,
  async ({ request, event }) => {
    const kept = await ahead(request);
    if (kept !== undefined) return kept;
    if (!request.headers.has('range')) return others.handle({ request, event });
    try {
      return await fetch(request);
    } catch (error) {
      // Parts are not kept by themselves; a file that was once asked for whole has all of them.
      const whole = await caches.match(request.url, { cacheName: 'pupil-others' });
      if (whole !== undefined) return createPartialResponse(request, whole);
      throw error;
    }
  },
);

setDefaultHandler(new NetworkOnly());
