// once.ts: things that are made once and then handed to everybody who asks for the same. It lives as long as one piece of work
// (the plan of one grid), never as long as a process: what lies on a disk may be another the next time. It forgets nothing.

/** Makes each thing once. What failed, fails in the same way for all. */
export class Once {
  private readonly made = new Map<string, unknown>();

  /**
   * The thing of this kind, made where it is asked for the first time.
   * @param follows everything that it follows from, as JSON; a kind always makes things of one type
   */
  of<T>(kind: string, follows: unknown, make: () => T): T {
    const key = `${kind} ${JSON.stringify(follows)}`;
    if (!this.made.has(key)) this.made.set(key, make());
    return this.made.get(key) as T;
  }
}
