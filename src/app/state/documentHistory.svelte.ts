// documentHistory.svelte.ts: what documents were before each change, and after those that were undone, by the document's id. It
// keeps documents and knows nothing of what is in them; they share what did not change.

/** Changes of one thing that follow each other this fast are one step: the letters of a word. */
const ONE_STEP_MS = 1500;
const MOST_STEPS = 300;

interface Steps {
  past: readonly unknown[];
  future: readonly unknown[];
}
const NONE: Steps = { past: [], future: [] };

export class DocumentHistory {
  private steps = $state.raw<Readonly<Record<string, Steps>>>({});
  private last = { id: '', topic: '', at: -Infinity };

  canUndo(id: string): boolean {
    return this.of(id).past.length > 0;
  }

  canRedo(id: string): boolean {
    return this.of(id).future.length > 0;
  }

  /** @param topic what was changed; '' for what is always a step of its own. @param now in ms. */
  record(id: string, before: unknown, topic: string, now: number): void {
    const { last } = this;
    const goesOn = topic !== '' && topic === last.topic && id === last.id && now - last.at < ONE_STEP_MS;
    this.last = { id, topic, at: now };
    const { past } = this.of(id);
    this.set(id, { past: goesOn ? past : [...past.slice(-MOST_STEPS + 1), before], future: [] });
  }

  /** The document before the last change; undefined where there was none. */
  undo(id: string, now: unknown): { document: unknown } | undefined {
    const { past, future } = this.of(id);
    if (past.length === 0) return undefined;
    this.set(id, { past: past.slice(0, -1), future: [...future, now] });
    return { document: past.at(-1) };
  }

  redo(id: string, now: unknown): { document: unknown } | undefined {
    const { past, future } = this.of(id);
    if (future.length === 0) return undefined;
    this.set(id, { past: [...past, now], future: future.slice(0, -1) });
    return { document: future.at(-1) };
  }

  /** What was under another id. */
  rename(from: string, to: string): void {
    const { [from]: steps, ...others } = this.steps;
    this.steps = steps === undefined ? others : { ...others, [to]: steps };
  }

  private of(id: string): Steps {
    return this.steps[id] ?? NONE;
  }

  private set(id: string, steps: Steps): void {
    this.steps = { ...this.steps, [id]: steps };
    if (steps.future.length > 0) this.last = { id: '', topic: '', at: -Infinity };
  }
}
