// rules.ts: what no single field of an experiment can know: references between its parts, and settings that exclude one
// another. Single fields are checked by schema.ts.
import type { ConfigProblem } from './problems';
import { shortJson } from './problems';
import type { Experiment, TaskId } from './schema';

/** Benchmarks whose answer is a number, or yes or no: their questions have no options. */
export const WITHOUT_OPTIONS: ReadonlySet<TaskId> = new Set<TaskId>([
  'gsm8k',
  'multiarith',
  'math',
  'strategyqa',
  'svamp',
  'addsub',
  'singleeq',
  'lesson-stories',
  'lesson-sums',
]);

/** Every broken rule. Empty when all is well. */
export function crossFieldProblems(experiment: Experiment): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (path: string, expected: string, value: unknown, fields?: readonly string[]): void => {
    problems.push({ path, expected, value: shortJson(value), ...(fields === undefined ? {} : { fields }) });
  };
  const within = (path: string, ...keys: string[]): string[] => keys.map((key) => `${path}.${key}`);

  const names = experiment.tasks.map((task) => task.name);
  experiment.tasks.forEach((task, i) => {
    if (names.indexOf(task.name) !== i) add(`tasks[${i}].name`, 'a name no other task has', task.name);
    if (task.mapping !== undefined && task.id !== 'custom') {
      add(`tasks[${i}].mapping`, 'nothing: only the task custom has columns to name', task.mapping);
    }
    const { trainCount, trainFraction } = task.split;
    if (trainCount !== undefined && trainFraction !== undefined) {
      const at = `tasks[${i}].split`;
      add(at, 'trainCount or trainFraction, not both', task.split, within(at, 'trainCount', 'trainFraction'));
    }
    const trained = task.use.filter((use) => use !== 'evaluate');
    if ('train' in task.files && task.files.train.length === 0 && trained.length > 0) {
      add(`tasks[${i}].files.train`, `files, since the task is used for ${trained.join(' and ')}`, []);
    }
    if ('all' in task.files && trainCount === undefined && trainFraction === undefined) {
      const at = `tasks[${i}].split`;
      const fields = within(at, 'trainCount', 'trainFraction');
      add(at, 'trainCount or trainFraction, since `files.all` is one pool', task.split, fields);
    }
  });

  experiment.demonstrations.forEach((entry, i) => {
    const path = `demonstrations[${i}]`;
    if (entry.files.some((file) => file.startsWith('lesson:')) && !/\bscripted\b/i.test(entry.label)) {
      add(`${path}.label`, 'a name with the word "scripted": these answers come from a script', entry.label);
    }
    if (!names.includes(entry.task)) add(`${path}.task`, `the name of a task (${names.join(', ')})`, entry.task);
    if (entry.format === 'cot-aligned' && entry.alignedWith === undefined) {
      add(`${path}.alignedWith`, 'the files that the rationales are aligned with', undefined);
    }
    if (entry.format === 'fields' && entry.fields === undefined) {
      add(`${path}.fields`, 'the names of the question and the answer in a row', undefined);
    }
    if (entry.format !== 'fields' && entry.fields !== undefined) {
      add(`${path}.fields`, 'nothing: only the format fields has them', entry.fields);
    }
    if (entry.format !== 'cot-aligned' && entry.alignedWith !== undefined) {
      add(`${path}.alignedWith`, 'nothing: only the format cot-aligned has it', entry.alignedWith);
    }
  });

  const uses = { instruct: experiment.phases.instruct, selfRefine: experiment.phases.selfRefine } as const;
  for (const use of ['instruct', 'selfRefine'] as const) {
    const phase = uses[use];
    if (phase === false) continue;
    if (phase.warmupRatio !== undefined && phase.warmupSteps !== undefined) {
      const { warmupRatio, warmupSteps } = phase;
      const fields = within(`phases.${use}`, 'warmupRatio', 'warmupSteps');
      add(`phases.${use}`, 'warmupRatio or warmupSteps, not both', { warmupRatio, warmupSteps }, fields);
    }
    const tasks = experiment.tasks.filter((task) => task.use.includes(use)).map((task) => task.name);
    if (!experiment.demonstrations.some((entry) => tasks.includes(entry.task))) {
      add(
        'demonstrations',
        `demonstrations of a task that is used for ${use}`,
        experiment.demonstrations.map((d) => d.task),
        ['demonstrations', `phases.${use}`],
      );
    }
  }

  const { control } = experiment.phases;
  if (control !== undefined && control !== false && experiment.phases.instruct === false) {
    add('phases.control', 'false, since it goes on with instruction-tuning and phases.instruct is false', control);
  }

  const refine = experiment.phases.selfRefine;
  if (refine !== false) {
    if (refine.maxSteps === undefined && refine.epochs === undefined) {
      const fields = within('phases.selfRefine', 'maxSteps', 'epochs');
      add('phases.selfRefine', 'maxSteps or epochs (or both: whichever ends first)', {}, fields);
    }
    if (refine.labelSmoothing > 0 && refine.loss !== 'sigmoid' && refine.loss !== 'robust') {
      add('phases.selfRefine.labelSmoothing', `0, since the loss ${refine.loss} has none`, refine.labelSmoothing);
    }
    if (refine.loss === 'robust' && refine.labelSmoothing === 0) {
      add('phases.selfRefine.labelSmoothing', 'more than 0 for the robust loss', 0);
    }
    if (experiment.evaluation.probing && experiment.tasks.every((task) => WITHOUT_OPTIONS.has(task.id))) {
      add('evaluation.probing', 'false: no task of this experiment has options to probe', true);
    }
  }
  return problems;
}
