// frameQueue.ts: work that is done in turn, one piece a frame, so that many pieces that become due together hold up no frame for
// long. What the pieces do is their owners' business.

export class FrameQueue {
  private readonly waiting = new Set<() => void>();
  private frame = 0;

  /** `request` and `cancel` as those of the window, which tests replace. */
  constructor(
    private readonly request: (act: () => void) => number = (act) => requestAnimationFrame(act),
    private readonly cancel: (frame: number) => void = (frame) => cancelAnimationFrame(frame),
  ) {}

  /** Whether it waits for its turn. */
  has(work: () => void): boolean {
    return this.waiting.has(work);
  }

  /** To be done once, after what waits already; what waits already keeps its turn. */
  add(work: () => void): void {
    this.waiting.add(work);
    if (this.frame === 0) this.frame = this.request(this.next);
  }

  /** Not to be done after all. */
  remove(work: () => void): void {
    this.waiting.delete(work);
    if (this.waiting.size > 0 || this.frame === 0) return;
    this.cancel(this.frame);
    this.frame = 0;
  }

  private readonly next = (): void => {
    this.frame = 0;
    const [work] = this.waiting;
    if (work === undefined) return;
    this.waiting.delete(work);
    if (this.waiting.size > 0) this.frame = this.request(this.next); // before the work, which may fail
    work();
  };
}
