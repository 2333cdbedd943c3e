// loadable.ts: what PlaceHost can fetch and show: a place of the page, or a view within one. Types only.
import type { Component } from 'svelte';
import type { Playground } from '../state/playground.svelte';

export type PlaygroundComponent = Component<{ playground: Playground }>;

export interface Loadable {
  label: string;
  /** Fetches its code. */
  load: () => Promise<{ default: PlaygroundComponent }>;
}
