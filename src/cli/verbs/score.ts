// score.ts: `pupil score`: texts generated elsewhere against their targets. Needs no GPU and no browser.
import { Option, type Command } from 'commander';
import { SCORERS, TASK_IDS, type ScorerName, type TaskId } from '../../config/experiment';
import { perform, type VerbContext } from '../context';
import { expectFile } from '../files';

interface ScoreFlags {
  task: TaskId;
  input: string;
  scorer: ScorerName;
  json?: boolean;
}

const percent = (share: number): string => (share * 100).toFixed(1);

export function registerScore(program: Command, context: VerbContext): void {
  program
    .command('score')
    .description('score texts generated elsewhere: accuracy, interval, a verdict a row')
    .addOption(new Option('--task <task>', 'whose answers these are').choices(TASK_IDS).makeOptionMandatory())
    .requiredOption('--input <file>', 'JSONL: {"target", "text", "choices"?} a line')
    .addOption(new Option('--scorer <scorer>', 'how a text is judged').choices(SCORERS).default('strict'))
    .option('--json', 'one JSON object a line on stdout')
    .action((flags: ScoreFlags) =>
      perform(context, flags.json === true, async (output) => {
        const { scoreFile } = await import('../nodeHost');
        const score = scoreFile(expectFile('--input', flags.input), flags.task, flags.scorer);
        score.verdicts.forEach((verdict, i) => {
          output.result('verdict', { row: i + 1, ...verdict }, () => {
            const read = verdict.answer === undefined ? 'no answer' : JSON.stringify(verdict.answer);
            return `${String(i + 1).padStart(6)}  ${verdict.correct ? 'right' : 'wrong'}  ${read}  (${verdict.rule})`;
          });
        });
        const { n, correct, accuracy, interval, unanswered } = score;
        const { low, high } = interval;
        output.result(
          'score',
          { task: flags.task, scorer: flags.scorer, n, correct, accuracy, low, high, unanswered },
          () =>
            [
              `accuracy ${percent(accuracy)} %  (${percent(low)} – ${percent(high)}, Wilson 95 %)`,
              `correct ${correct} of n = ${n}, without an answer ${unanswered}; scorer ${flags.scorer}, task ${flags.task}`,
            ].join('\n'),
        );
        return 0;
      }),
    );
}
