// latest.ts: work that is begun anew whenever its input changes, of which only the last result counts.

export class Latest {
  private number = 0;

  /** Runs the work; undefined where another was begun meanwhile. A failure of overtaken work counts as nothing, too. */
  async run<T>(work: () => Promise<T>): Promise<{ value: T } | undefined> {
    const mine = ++this.number;
    try {
      const value = await work();
      return mine === this.number ? { value } : undefined;
    } catch (error) {
      if (mine === this.number) throw error;
      return undefined;
    }
  }

  /** What is under way counts no more. */
  cancel(): void {
    this.number++;
  }
}
