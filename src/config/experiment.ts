// experiment.ts: the experiment file: one JSON document that says everything about a run. This is its front door: types,
// parsing with complete error messages, and the JSON Schema. The settings themselves are declared in schema.ts.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { jsonSchemaOf } from './jsonSchema';
import { listProblems, type ConfigProblem } from './problems';
import { crossFieldProblems } from './rules';
import { ExperimentSchema, StudentSchema } from './schema';
import type { Experiment, StudentConfig } from './schema';

export { SCORERS } from './phaseSchema';
export { DEMONSTRATION_FORMATS } from './schema';
export { TASK_IDS, TASK_USES } from './taskSchema';
export type { ConfigProblem } from './problems';
export type {
  AdapterConfig,
  ColumnMapping,
  ControlConfig,
  DemonstrationsConfig,
  EvaluationConfig,
  Experiment,
  ExperimentInput,
  InstructConfig,
  PromptConfig,
  SamplingConfig,
  ScorerName,
  SelfRefineConfig,
  SplitConfig,
  StudentConfig,
  TaskConfig,
  TaskId,
  TaskUse,
} from './schema';

/**
 * Checks an experiment and fills in its defaults.
 *
 * @param json the parsed document, or its text.
 * @throws PupilError `config` naming every problem as `path: expected …, got …`.
 */
export function parseExperiment(json: unknown): Experiment {
  let document = json;
  if (typeof json === 'string') {
    try {
      document = JSON.parse(json);
    } catch (cause) {
      throw new PupilError(
        'config',
        `parseExperiment: expected a JSON document, got text that is not JSON (${(cause as Error).message})`,
        'Look at the position named; JSON has no comments and no trailing commas.',
        { cause },
      );
    }
  }
  const { experiment, problems } = checkExperiment(document);
  if (experiment === undefined) throw refusalOf(problems);
  return experiment;
}

/** Problems as the error that names them all. */
export function refusalOf(problems: readonly ConfigProblem[]): PupilError {
  return new PupilError(
    'config',
    `parseExperiment: ${problems.length} problem${problems.length === 1 ? '' : 's'} in the experiment\n` +
      problems.map((p) => `  ${p.path}: expected ${p.expected}, got ${p.value}`).join('\n'),
    'Every key, its unit and its default are in docs/experiment.schema.json.',
  );
}

/** The complete experiment, or everything that is wrong with the document. For a form, where that is no failure. */
export function checkExperiment(document: unknown): { experiment?: Experiment; problems: ConfigProblem[] } {
  const result = v.safeParse(ExperimentSchema, document);
  const problems = result.success ? crossFieldProblems(result.output) : listProblems(result.issues);
  return result.success && problems.length === 0 ? { experiment: result.output, problems } : { problems };
}

/**
 * Checks an experiment's `student` by itself and fills in its defaults.
 * @throws PupilError `config` naming every problem.
 */
export function parseStudent(json: unknown): StudentConfig {
  const result = v.safeParse(StudentSchema, json);
  if (result.success) return result.output;
  const problems = listProblems(result.issues);
  throw new PupilError(
    'config',
    `parseStudent: ${problems.length} problem${problems.length === 1 ? '' : 's'} in the student\n` +
      problems.map((p) => `  student.${p.path}: expected ${p.expected}, got ${p.value}`).join('\n'),
    'Every key, its unit and its default are in docs/experiment.schema.json.',
  );
}

/** The JSON Schema of an experiment file, for editors, forms and readers. */
export const experimentJsonSchema = (): Record<string, unknown> => jsonSchemaOf(ExperimentSchema, 'Pupil experiment');
