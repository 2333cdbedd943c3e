// appearance.svelte.ts: how the page looks: as the system says, light or dark; and projector mode, large type and high contrast
// for a room. It is in the address (a link for a class) and remembered by this browser. The colours are page.css's.
import type { Address } from './address.svelte';
import type { KeyValue } from './keyValue';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEY = 'pupil-appearance';
const isTheme = (value: unknown): value is Theme => (THEMES as readonly unknown[]).includes(value);

export class Appearance {
  private remembered = $state.raw<{ theme?: Theme; projector?: boolean }>({});

  constructor(
    private readonly address: Address,
    private readonly memory: KeyValue,
  ) {
    try {
      const kept = JSON.parse(memory.getItem(KEY) ?? '{}') as { theme?: unknown; projector?: unknown };
      this.remembered = { ...(isTheme(kept.theme) ? { theme: kept.theme } : {}), projector: kept.projector === true };
    } catch {
      // Damaged: the system's look.
    }
  }

  /** The address goes before what is remembered. */
  readonly theme = $derived.by((): Theme => {
    const said = this.address.get('theme');
    return isTheme(said) ? said : (this.remembered.theme ?? 'system');
  });

  readonly projector = $derived.by((): boolean => {
    const said = this.address.get('projector');
    return said === '' ? this.remembered.projector === true : said !== '0';
  });

  setTheme(theme: Theme): void {
    this.keep({ ...this.remembered, theme });
    this.address.set({ theme: theme === 'system' ? undefined : theme });
  }

  setProjector(on: boolean): void {
    this.keep({ ...this.remembered, projector: on });
    this.address.set({ projector: on ? '1' : undefined });
  }

  private keep(what: { theme?: Theme; projector?: boolean }): void {
    this.remembered = what;
    try {
      this.memory.setItem(KEY, JSON.stringify(what));
    } catch {
      // Without room it holds until the page is left.
    }
  }
}
