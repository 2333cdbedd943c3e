// addressField.svelte.ts: one name of the address as a value that may change with every key: shown at once, written to the
// address when it rests, since browsers refuse a page that rewrites its address many times a second.
import type { Address, AddressName } from '../state/address.svelte';

const REST_MS = 250;

export class AddressField {
  private pending = $state<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly address: Address,
    private readonly name: AddressName,
  ) {}

  get value(): string {
    return this.pending ?? this.address.get(this.name);
  }

  set value(text: string) {
    if (text === this.value) return;
    this.pending = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.write(), REST_MS);
  }

  /** Writes what waits, now. */
  write(): void {
    clearTimeout(this.timer);
    const { pending } = this;
    if (pending === undefined) return;
    this.address.set({ [this.name]: pending });
    this.pending = undefined;
  }

  /** Forgets what waits: the place or view that it belongs to is left. */
  forget(): void {
    clearTimeout(this.timer);
    this.pending = undefined;
  }
}
