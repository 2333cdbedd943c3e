// places.ts: the four places as data: what each is called, what it is for, and how its code is fetched. The page's first load
// holds none of them but through these functions.
import type { Loadable } from '../shell/loadable';
import type { PlaceName } from '../state/address.svelte';

export interface PlaceInfo extends Loadable {
  name: PlaceName;
  /** One line, for the title of its link. */
  purpose: string;
}

export const PLACE_LIST: readonly PlaceInfo[] = [
  {
    name: 'lesson',
    label: 'Lesson',
    purpose: 'Watch a small student learn to reason, in one click',
    load: () => import('./LessonPlace.svelte'),
  },
  {
    name: 'lab',
    label: 'Lab',
    purpose: 'Set up an experiment of your own and run it',
    load: () => import('./LabPlace.svelte'),
  },
  {
    name: 'inside',
    label: 'Inside',
    purpose: 'Look into a run: pairs, answers, weights, kernels',
    load: () => import('./InsidePlace.svelte'),
  },
  {
    name: 'results',
    label: 'Results',
    purpose: 'Stored runs, tables and figures',
    load: () => import('./ResultsPlace.svelte'),
  },
];
