// madeAnswers.mjs: puts a run with many answers among those that a page's browser keeps, for the measurements of Inside. The
// answers are made: their lengths are those of real ones, their words and verdicts mean nothing.

const SYSTEMS = ['Baseline', 'Instruction-tuned', 'Self-refined'];
const PROMPTS = ['plain', 'cot'];
const WORDS =
  'each box holds seven pears and two of them are given away so that there are fewer left than before'.split(' ');

/** @param {number} count words @param {number} seed */
const text = (count, seed) => Array.from({ length: count }, (_, i) => WORDS[(i * 7 + seed) % WORDS.length]).join(' ');

/** The lines of predictions.jsonl. @param {number} count of answers: six a question */
export function madeAnswers(count) {
  const questions = Math.ceil(count / (SYSTEMS.length * PROMPTS.length));
  return SYSTEMS.flatMap((system, s) =>
    PROMPTS.flatMap((prompt) =>
      Array.from({ length: questions }, (_, q) =>
        JSON.stringify({
          system,
          taskId: `task-${q % 4}`,
          prompt,
          itemId: `item-${q}`,
          question: `Question: ${text(40, q)}?`,
          target: 'A',
          correct: { strict: (q + s) % 3 === 0, lenient: q % 2 === 0 },
          text: text(prompt === 'cot' ? 60 : 4, q + s),
          stopped: 'eos',
          answer: 'A',
          ...(prompt === 'plain' ? { probed: { probing: 'A', 'probing, per token': 'B' } } : {}),
        }),
      ),
    ),
  );
}

/** @param {import('playwright-core').Page} page with the databases of Pupil opened once @param {number} count */
export async function putAnswers(page, count) {
  await page.evaluate(
    (lines) =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open('pupil');
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const bytes = new TextEncoder().encode(lines);
          const names = ['runs', 'artefacts', 'sizes'];
          const writing = opening.result.transaction(names, 'readwrite');
          const [runId, path] = ['made-answers', 'predictions.jsonl'];
          const record = {
            name: 'Made answers',
            state: 'finished',
            phase: 'report',
            step: 0,
            sizeBytes: 0,
            sequence: 1,
          };
          writing.objectStore('runs').put({ runId, ...record, updatedAt: new Date().toISOString() }, runId);
          writing.objectStore('artefacts').put(bytes, [runId, path]);
          writing.objectStore('sizes').put({ path, sizeBytes: bytes.byteLength }, [runId, path]);
          writing.oncomplete = () => resolve(opening.result.close());
          writing.onabort = () => reject(writing.error);
        };
      }),
    madeAnswers(count).join('\n'),
  );
}
