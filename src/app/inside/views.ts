// views.ts: the tabs of Inside as data: what each is called, what it needs, and how its code is fetched. Another tab is one more
// entry here.
import type { Loadable } from '../shell/loadable';

export interface InsideView extends Loadable {
  /** In the address, as `view`. */
  id: string;
  /** Whether it looks into one run (the address's `run`) or at this device. */
  of: 'run' | 'device';
}

export const INSIDE_VIEWS: readonly InsideView[] = [
  { id: 'pairs', label: 'Preference pairs', of: 'run', load: () => import('./PairsView.svelte') },
  { id: 'demonstrations', label: 'Demonstrations', of: 'run', load: () => import('./DemonstrationsView.svelte') },
  { id: 'generations', label: 'Answers side by side', of: 'run', load: () => import('./GenerationsView.svelte') },
];
