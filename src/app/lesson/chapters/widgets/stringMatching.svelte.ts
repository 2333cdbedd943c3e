// stringMatching.svelte.ts: the state of the scorers' widget: a text, a target and what each scorer says of them. The verdicts are
// the session's (tasks/score.ts): the ones that decide in a run.
import { PupilError } from '../../../../base/errors';
import type { WidgetSettings } from '../../../../config/chapter';
import { SCORERS, TASK_IDS, type ScorerName, type TaskId } from '../../../../config/experiment';
import type { ScoreTextRequest, SessionApi, TextVerdict } from '../../../../session/protocol';
import { Latest } from '../../../state/latest';
import { toNotice, type Notice } from '../../../state/notice';

/** What is typed is judged when the hand rests so long. */
const REST_MS = 150;
export const MOST_CHARACTERS = 20_000;

export type MatchingExample = WidgetSettings<'string-matching'>['examples'][number];

/** Tasks to choose from, by what an answer is: not every benchmark, since most are read alike. */
export const ANSWER_KINDS: Partial<Record<TaskId, string>> = {
  gsm8k: 'a number (GSM8K)',
  csqa: 'one of five options (CommonsenseQA)',
  obqa: 'one of four options (OpenBookQA)',
  piqa: 'one of two options (PIQA)',
  strategyqa: 'yes or no (StrategyQA)',
  math: 'an expression (MATH)',
};

export class StringMatching {
  task = $state<TaskId>('gsm8k');
  text = $state('');
  target = $state('');
  /** One option a line. */
  choicesText = $state('');
  /** The example that was chosen last, while nothing of it was changed. */
  example = $state.raw<MatchingExample>();
  verdicts = $state.raw<Record<ScorerName, TextVerdict>>();
  notice = $state.raw<Notice>();
  private readonly latest = new Latest();
  private timer: ReturnType<typeof setTimeout> | undefined;

  readonly choices = $derived.by(() =>
    this.choicesText
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  );
  /** The tasks offered, and the one of a teacher's example beside them. */
  readonly tasks = $derived.by(() =>
    TASK_IDS.filter((id) => ANSWER_KINDS[id] !== undefined || id === this.task).map((id) => ({
      id,
      label: ANSWER_KINDS[id] ?? id,
    })),
  );
  /** The scorers do not agree. */
  readonly disagree = $derived.by(
    () => this.verdicts !== undefined && new Set(SCORERS.map((scorer) => this.verdicts![scorer].correct)).size > 1,
  );

  constructor(
    private readonly session: Pick<SessionApi, 'scoreText'>,
    readonly examples: readonly MatchingExample[],
  ) {}

  /** Puts an example into the fields and judges it. */
  show(example: MatchingExample): Promise<void> {
    this.task = example.task;
    this.text = example.text;
    this.target = example.target;
    this.choicesText = (example.choices ?? []).join('\n');
    this.example = example;
    return this.judge();
  }

  /** Something was typed. */
  changed(): void {
    this.example = undefined;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.judge(), REST_MS);
  }

  /** Asks the session now. The former verdicts stay until the new ones are there. */
  async judge(): Promise<void> {
    clearTimeout(this.timer);
    const request: ScoreTextRequest = {
      task: this.task,
      text: this.text,
      target: this.target,
      ...(this.choices.length === 0 ? {} : { choices: this.choices }),
    };
    try {
      const answer = await this.latest.run(() => {
        if (this.text.length > MOST_CHARACTERS) {
          throw new PupilError(
            'data',
            `score: expected a text of at most ${MOST_CHARACTERS} characters, this one has ${this.text.length}`,
            'For whole files there is `pupil score` on the command line.',
          );
        }
        return this.session.scoreText(request);
      });
      if (answer === undefined) return;
      this.verdicts = answer.value;
      this.notice = undefined;
    } catch (error) {
      this.verdicts = undefined;
      this.notice = toNotice(error);
    }
  }
}
