// paper.svelte.ts: the paper's tables for the chosen runs as the page has them: read again whenever the choice, the way of
// looking or the stored runs change. The tables are the session's.
import type { PaperAnswer, PromptKind, SessionApi } from '../../session/protocol';
import type { Address } from '../state/address.svelte';
import { Latest } from '../state/latest';
import { toNotice, type Notice } from '../state/notice';

export class Paper {
  answer = $state.raw<PaperAnswer>();
  reading = $state(false);
  notice = $state.raw<Notice>();
  private readonly latest = new Latest();

  constructor(
    private readonly session: Pick<SessionApi, 'paperResults'>,
    private readonly address: Address,
  ) {}

  /** `plain/strict` in the address: prompt and scorer of the tables; empty is the usual. */
  private readonly wanted = $derived.by((): { prompt?: PromptKind; scorer?: string } => {
    const text = this.address.get('metric');
    const cut = text.indexOf('/');
    const prompt = text.slice(0, Math.max(0, cut));
    if (prompt !== 'plain' && prompt !== 'cot') return {};
    return { prompt, scorer: text.slice(cut + 1) };
  });

  /** Another prompt or scorer. */
  look(prompt: PromptKind, scorer: string): void {
    const { answer } = this;
    const isUsual = answer !== undefined && prompt === answer.prompts[0] && scorer === answer.scorers[0];
    this.address.set({ metric: isUsual ? undefined : `${prompt}/${scorer}` });
  }

  /** Reads the tables of these runs (none: all finished ones). */
  async read(runs: readonly string[]): Promise<void> {
    this.reading = true;
    try {
      const result = await this.latest.run(() => this.session.paperResults({ runs: [...runs], ...this.wanted }));
      if (result === undefined) return; // a later question is under way
      this.answer = result.value;
      this.notice = undefined;
    } catch (error) {
      this.notice = toNotice(error);
    }
    this.reading = false;
  }

  /** What a reading depends on; to be asked for where a change of it must lead to another. */
  get view(): string {
    return JSON.stringify(this.wanted);
  }
}
