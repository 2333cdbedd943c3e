// judge.ts: `pupil judge`, and the same from a page: answers of finished runs rated by a model behind an API with the prompt of
// Table 12, and the averages of Tables 13 and 14 (arXiv 2405.00402, appendix H). Which answers is judgeInput.ts, how the model
// is asked apiWork.ts; nothing here needs a GPU.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { integer, nonEmptyText } from '../config/fields';
import { openFileRoot } from '../sources/fileRoot';
import type { AnswerStore } from '../storage/answerStore';
import { planLesson, type LessonPlan } from '../teachers/apiPlan';
import { judgingTask, parseRating, summarizeQuality } from '../teachers/judge';
import { API_ENTRIES, askPlan, estimateWork, openApi, readRequest, type ApiWorkOptions, type OpenApi } from './apiWork';
import { jsonLines } from './jsonLines';
import { chooseCandidates, readCandidates, type Candidate } from './judgeInput';
import type { JudgedRating, JudgeRequest, JudgeSummary, JudgeTable, TeachEstimate } from './protocol';

const RequestSchema = v.object({
  ...API_ENTRIES,
  predictions: v.pipe(v.array(v.strictObject({ run: nonEmptyText, path: nonEmptyText })), v.minLength(1)),
  systems: v.exactOptional(v.pipe(v.array(nonEmptyText), v.minLength(1))),
  tasks: v.exactOptional(v.pipe(v.array(nonEmptyText), v.minLength(1))),
  limit: v.exactOptional(integer(1)),
  seed: integer(0, 0xffffffff),
  targets: v.exactOptional(v.boolean()),
});

/** A request that has been checked, with its answers; an answer's id in the plan is {@link idOf}. */
interface Opened {
  plan: LessonPlan;
  api: OpenApi;
  chosen: Candidate[];
}

const idOf = ({ run, system, taskId, itemId }: Candidate): string => [run, system, taskId, itemId].join(' / ');

async function openRequest(request: JudgeRequest, answers: AnswerStore): Promise<Opened> {
  const { predictions, model, label = model } = readRequest('judge', RequestSchema, request);
  const runs = predictions.map(({ run }) => run);
  const twice = runs.find((run, i) => runs.indexOf(run) !== i);
  if (twice !== undefined) {
    throw new PupilError(
      'usage',
      `judge: predictions: expected a name of its own for every run, ${twice} occurs twice`,
    );
  }
  const api = openApi('judge', request);
  const all = await readCandidates(predictions, openFileRoot(request.files), (text) => api.warnings.push(text));
  const chosen = chooseCandidates(all, request);
  const task = judgingTask(chosen.map((one) => ({ id: idOf(one), question: one.question, answer: one.answer })));
  const lesson = { task, items: task.items, chat: api.chat, samples: 1, label, family: 'out-family' as const };
  return { plan: await planLesson(lesson, answers), api, chosen };
}

/**
 * What judging would need. Sends nothing.
 *
 * @throws PupilError `usage` for the request, `source` and `data` for its predictions, `storage` of the store.
 */
export async function estimateJudging(request: JudgeRequest, answers: AnswerStore): Promise<TeachEstimate> {
  const { plan, api } = await openRequest(request, answers);
  return estimateWork(plan, api, request);
}

/**
 * Asks, and delivers a rating for every answer, or why there is none; whatever the end.
 *
 * @throws PupilError as {@link estimateJudging}, before anything is sent; and what writing `out` throws.
 */
export async function judgeForRequest(request: JudgeRequest, options: ApiWorkOptions): Promise<JudgeSummary> {
  const { plan, api, chosen } = await openRequest(request, options.answers);
  const { result, summary } = await askPlan(plan, api, request, options);
  const replies = new Map(result.demonstrations.map(({ itemId, answer }) => [itemId, answer]));
  const failures = new Map(result.failures.map(({ itemId, reason, message }) => [itemId, `${reason}: ${message}`]));
  const ratings = chosen.map((one): JudgedRating => {
    const { question: _, ...answer } = one;
    const reply = replies.get(idOf(one));
    return {
      ...answer,
      judge: summary.label,
      ...(reply === undefined ? { missing: failures.get(idOf(one)) ?? 'not asked' } : { ...parseRating(reply), reply }),
    };
  });
  const table = tableOf(request, ratings, summary);
  const { out } = request;
  // Nothing is replaced by nothing: a judge that could not be reached leaves what there was.
  if (out !== undefined && replies.size > 0) {
    const root = openFileRoot(out.root);
    await root.write(out.ratings, jsonLines(ratings));
    await root.write(out.table, new TextEncoder().encode(`${JSON.stringify(table, null, 2)}\n`));
  }
  return { ...summary, table, ratings };
}

/** Rows in the order in which their answers come, columns likewise. */
function tableOf(
  { predictions, limit, seed }: JudgeRequest,
  ratings: readonly JudgedRating[],
  { label, model, models }: Pick<JudgeSummary, 'label' | 'model' | 'models'>,
): JudgeTable {
  const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
  const quality = (own: readonly JudgedRating[]) => summarizeQuality(own.map(({ reply }) => reply));
  const rows = unique(ratings.map(({ run, system }) => JSON.stringify([run, system]))).map((key) => {
    const [run, system] = JSON.parse(key) as [string, string];
    const own = ratings.filter((one) => one.run === run && one.system === system);
    const tasks = unique(own.map(({ taskId }) => taskId)).map(
      (task) => [task, quality(own.filter(({ taskId }) => taskId === task))] as const,
    );
    return { run, system, tasks: Object.fromEntries(tasks), all: quality(own) };
  });
  return {
    format: 'pupil-judge',
    version: 1,
    judge: label,
    model,
    models,
    predictions,
    ...(limit === undefined ? {} : { limit }),
    seed,
    tasks: unique(ratings.map(({ taskId }) => taskId)),
    rows,
  };
}
