// judgeInput.ts: which answers a judge is asked about: the lines of runs' predictions and of teachers' demonstrations, named as the rows of Tables 13 and 14,
// and a seeded choice among them. It asks nobody.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { streamId, threefry2x32 } from '../base/random';
import { nonEmptyText } from '../config/fields';
import { readRows } from '../formats/rows';
import type { OpenRoot } from '../sources/openRoot';
import type { JudgeRequest } from './apiProtocol';

/** A line of predictions.jsonl, as far as it is needed here. */
const PredictionSchema = v.object({
  system: nonEmptyText,
  taskId: nonEmptyText,
  prompt: v.picklist(['plain', 'cot']),
  itemId: nonEmptyText,
  /** Lines of versions before judging have none. */
  question: v.exactOptional(v.string()),
  target: v.string(),
  text: v.string(),
});

/** A line of demonstrations.jsonl: a teacher's answer, a row of Table 13. */
const DemonstrationSchema = v.object({
  teacher: nonEmptyText,
  taskId: nonEmptyText,
  itemId: nonEmptyText,
  instruction: v.string(),
  question: nonEmptyText,
  target: v.string(),
  answer: v.string(),
});

/** The CoT prompt's trigger, which no judge sees. */
const TRIGGER = / ?Let's think step by step\s*$/;

/** An answer that may be judged. */
export interface Candidate {
  run: string;
  /** The row that it belongs to. */
  system: string;
  prompt?: 'plain' | 'cot';
  taskId: string;
  itemId: string;
  question: string;
  target: string;
  answer: string;
}

/** What the row of targets is called, as in Table 13. */
const TARGETS = 'Target answers';
const PLAIN = ', plain prompt';

/** As the paper's rows are called: the untouched student asked with the CoT prompt is a row of its own. */
function rowName(system: string, prompt: 'plain' | 'cot'): string {
  if (system === 'Baseline') return prompt === 'cot' ? 'Baseline CoT' : system;
  return prompt === 'cot' ? system : `${system}${PLAIN}`;
}

/**
 * Every answer of the runs, in the order of the files. Lines of several samples (self-consistency) are no single answer; they
 * are left out, and told.
 *
 * @throws PupilError `source` for a file, `data` for a line that is no prediction: leaving some out would change n silently.
 */
export async function readCandidates(
  predictions: JudgeRequest['predictions'],
  files: Pick<OpenRoot, 'readText'>,
  warn: (text: string) => void,
): Promise<Candidate[]> {
  const out: Candidate[] = [];
  for (const { run, path } of predictions) {
    const { rows, rejected } = readRows({ path, text: await files.readText(path) });
    const [bad] = rejected;
    if (bad !== undefined) throw new PupilError('data', `judge: ${path}:${bad.line}: ${bad.reason}`);
    let voted = 0;
    for (const { value, line } of rows) {
      if (typeof value === 'object' && value !== null && 'texts' in value) {
        voted++;
        continue;
      }
      out.push(candidate(value, run, `${path}:${line}`));
    }
    if (voted > 0) warn(`${path}: ${voted} lines of self-consistency hold several answers each and are not judged`);
  }
  if (out.length === 0) {
    throw new PupilError(
      'data',
      `judge: expected answers in ${predictions.map(({ path }) => path).join(', ')}, there are none`,
    );
  }
  return out;
}

/** A teacher's answer, with the question as the plain prompt has it. */
function demonstrationOf(value: unknown, run: string): Candidate | undefined {
  const parsed = v.safeParse(DemonstrationSchema, value);
  if (!parsed.success) return undefined;
  const { teacher, taskId, itemId, instruction, question, target, answer } = parsed.output;
  const asked = [instruction, question.replace(TRIGGER, '')].filter((text) => text !== '').join('\n');
  return { run, system: teacher, taskId, itemId, question: asked, target, answer };
}

function candidate(value: unknown, run: string, place: string): Candidate {
  const taught = demonstrationOf(value, run);
  if (taught !== undefined) return taught;
  const parsed = v.safeParse(PredictionSchema, value);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new PupilError(
      'data',
      `judge: ${place}: expected a line of predictions.jsonl or demonstrations.jsonl, ${v.getDotPath(issue) ?? 'the line'}: ${issue.message}`,
    );
  }
  const { system, prompt, taskId, itemId, question, target, text } = parsed.output;
  if (question === undefined) {
    throw new PupilError(
      'data',
      `judge: ${place}: expected the question beside its answer, this line has none`,
      'The file was written by an earlier version: `pupil eval` with the run’s adapter writes it anew.',
    );
  }
  return { run, system: rowName(system, prompt), prompt, taskId, itemId, question, target, answer: text };
}

/** The wanted ones of what there is. */
function wantedOf(what: string, wanted: readonly string[], there: ReadonlySet<string>): ReadonlySet<string> {
  const unknown = wanted.find((one) => !there.has(one));
  if (unknown === undefined) return new Set(wanted);
  throw new PupilError(
    'usage',
    `judge: ${what}: expected ${[...there].map((one) => `"${one}"`).join(', ')}, got ${JSON.stringify(unknown)}`,
  );
}

/**
 * The answers to be judged. A question's place in the choice depends on the seed, its task and its id alone, so all systems of
 * all runs are judged on the same questions as far as they answered the same.
 *
 * @throws PupilError `usage` for systems and tasks that are not there.
 */
export function chooseCandidates(
  all: readonly Candidate[],
  {
    systems,
    tasks,
    limit = Infinity,
    seed,
    targets = false,
  }: Pick<JudgeRequest, 'systems' | 'tasks' | 'limit' | 'seed' | 'targets'>,
): Candidate[] {
  const names = new Set(all.map(({ system }) => system));
  const usual = [...names].filter((name) => !name.endsWith(PLAIN) || !names.has(name.slice(0, -PLAIN.length)));
  const wantedSystems = systems === undefined ? new Set(usual) : wantedOf('systems', systems, names);
  const taskNames = new Set(all.map(({ taskId }) => taskId));
  const wantedTasks = tasks === undefined ? taskNames : wantedOf('tasks', tasks, taskNames);

  const groups = new Map<string, Candidate[]>();
  for (const one of all) {
    if (!wantedSystems.has(one.system) || !wantedTasks.has(one.taskId)) continue;
    const key = JSON.stringify([one.run, one.system, one.taskId]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  const rank = ({ taskId, itemId }: Candidate): number =>
    threefry2x32(seed, streamId(`judge ${taskId}`), streamId(itemId), itemId.length)[0];
  const chosen = [...groups.values()].flatMap((group) => {
    if (group.length <= limit) return group;
    const ranked = group.map((one) => ({ one, at: rank(one) }));
    ranked.sort((a, b) => a.at - b.at || (a.one.itemId < b.one.itemId ? -1 : 1));
    const kept = new Set(ranked.slice(0, limit).map(({ one }) => one));
    return group.filter((one) => kept.has(one));
  });
  return targets ? [...chosen, ...targetsOf(chosen)] : chosen;
}

/** The target of every chosen question as an answer of its own, once a run. */
function targetsOf(chosen: readonly Candidate[]): Candidate[] {
  const seen = new Set<string>();
  return chosen.flatMap(({ run, taskId, itemId, question, target }) => {
    const key = JSON.stringify([run, taskId, itemId]);
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ run, system: TARGETS, taskId, itemId, question, target, answer: target }];
  });
}
