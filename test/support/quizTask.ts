// quizTask.ts: a task of questions that name themselves, so that an answer to another question is seen. Tests only.
import type { AnswerCache } from '../../src/teachers/answerCache';
import type { Lesson } from '../../src/teachers/apiPlan';
import type { Demonstration, TeacherItem, TeacherTask } from '../../src/teachers/demonstration';

export function quizItems(count: number): TeacherItem[] {
  return Array.from({ length: count }, (_, i) => {
    const id = `q${'x'.repeat(i % 5)}${i}`;
    return { id, question: `What of [[${id}]]?`, target: String(id.length) };
  });
}

export function quizTask(items: readonly TeacherItem[]): TeacherTask {
  const plainPrompt = (item: TeacherItem): string => `Answer it.\nQuestion: ${item.question}\nAnswer:`;
  return {
    id: 'quiz',
    items,
    plainPrompt,
    cotPrompt: (item) => `${plainPrompt(item)} Let's think step by step`,
    isCorrect: (item, text) => text.includes(`The answer is ${item.target}.`),
  };
}

export function quizLesson(count: number, more: Partial<Lesson> = {}): Lesson {
  const items = quizItems(count);
  return {
    task: quizTask(items),
    items,
    chat: { dialect: 'openai', baseUrl: 'http://localhost:1/v1', model: 'm', temperature: 0.7, maxTokens: 64 },
    samples: 1,
    label: 'fake',
    family: 'out-family',
    ...more,
  };
}

/** The demonstrations whose answer is to another question. */
export const misattributed = (demonstrations: readonly Demonstration[]): Demonstration[] =>
  demonstrations.filter(
    ({ itemId, answer, question }) => !answer.includes(`[[${itemId}]]`) || !question.includes(`[[${itemId}]]`),
  );

/** A cache in this process that can be cut off, as by the end of its process. */
export class PlainCache implements AnswerCache {
  constructor(readonly texts = new Map<string, string>()) {}

  loadAnswers(keys: readonly string[]): Promise<Map<string, string>> {
    return Promise.resolve(new Map(keys.flatMap((key) => (this.texts.has(key) ? [[key, this.texts.get(key)!]] : []))));
  }

  saveAnswer(key: string, text: string): Promise<void> {
    this.texts.set(key, text);
    return Promise.resolve();
  }
}
