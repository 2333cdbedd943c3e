// main.ts: starts the page: a session in its worker, the state, the view, and `window.pupil`. With `?automation` the page
// waits to be driven (the command line does that) and shows no place. With `?start` it begins the chosen
// experiment as soon as it can: the address that `npm start` prints.
import { mount } from 'svelte';
import App from './App.svelte';
import { automationFor } from './automation';
import { createSessionClient, createTeacherModelClient, webGpuIsMissing } from './client';
import { guardLeaving } from './lab/leaving';
import './page.css';
import { INTERRUPTED_KEY } from './state/interrupted.svelte';
import { Playground } from './state/playground.svelte';

const session = createSessionClient();
const playground = new Playground(session, {
  address: location.href,
  showAddress: (href, how) =>
    how === 'push' ? history.pushState(null, '', href) : history.replaceState(null, '', href),
  memory: localStorage,
  now: () => new Date(),
  persist: async () => navigator.storage?.persist(),
  worker: session,
  wakeLocks: navigator.wakeLock as WakeLock | undefined, // not in every browser
  locks: navigator.locks, // absent where the page is not from a secure address
  teacherModel: createTeacherModelClient,
  save: (name, bytes) => saveBlob(name, new Blob([bytes.slice()])),
  saveBlob,
});

function saveBlob(name: string, blob: Blob): void {
  const address = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // a large file is read after the click
}

/** The service worker fetches what the lesson needs, once the page is there. Without one (an old browser, http) all else works. */
function keepOffline(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const register = (): void =>
    void navigator.serviceWorker.register(new URL('offline.js', playground.pageBase)).catch(() => undefined);
  if (document.readyState === 'complete') register();
  else addEventListener('load', register, { once: true });
}

const target = document.getElementById('app');
if (target === null) throw new Error('index.html: expected an element with the id "app"');
window.pupil = automationFor(session);
if (new URL(location.href).searchParams.has('automation')) {
  target.textContent = 'Driven by the command line.';
} else {
  const startsItself = new URL(location.href).searchParams.has('start');
  if (startsItself) {
    // Once: a page that is loaded again, or kept as a bookmark, must not begin another run.
    const address = new URL(location.href);
    address.searchParams.delete('start');
    history.replaceState(null, '', address);
    playground.address.take(address.href);
  }
  if (webGpuIsMissing()) void playground.wake(); // it will say so, with what to do
  mount(App, { target, props: { playground } });
  guardLeaving(playground.run);
  addEventListener('popstate', () => playground.address.take(location.href));
  if (startsItself) {
    void playground.wake().then(() => {
      if (playground.canRun) void playground.startRun();
    });
  }
  keepOffline();
  // Other tabs of this browser may have started, ended or deleted runs meanwhile, and loaded or deleted students.
  window.addEventListener('storage', ({ key }) => {
    if (key === INTERRUPTED_KEY) void playground.interrupted.look();
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible') return;
    void playground.awake.follow(playground.run.state === 'running');
    void playground.interrupted.look();
    if (playground.device.status === 'asleep') return;
    void playground.stored.refresh();
    void playground.cachedStudents.refresh();
  });
}
