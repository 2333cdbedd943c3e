// ticking.ts: time for what moves on the page: calls back with the milliseconds that passed, some ten times a second, and not at
// all while the page is hidden.

const TICK_MS = 80;

/** @returns ends it. */
export function ticking(onTick: (ms: number) => void): () => void {
  let before = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const passed = now - before;
    before = now;
    // A tab that was away, or a machine that slept, does not catch up.
    if (document.visibilityState === 'visible') onTick(Math.min(passed, 500));
  }, TICK_MS);
  return () => clearInterval(timer);
}

/** Whether a person asked their system for less motion. */
export const lessMotion = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;
