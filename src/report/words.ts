// words.ts: a report in plain language, for readers who have not seen Pupil: what was trained, what the numbers mean, and
// what came of it, step by step, "did not improve" included. Every number is a row's; what it shows is findings.ts.
import type { Experiment } from '../config/experiment';
import { isSelfConsistency, PROBINGS } from '../config/scorerNames';
import { escapeHtml, number, percent, pValue } from './escape';
import { findings, SIGNIFICANCE, type Finding, type Step } from './findings';
import { definitions } from './page';
import type { RunReport, SystemName } from './types';

/** What was done to the student. */
export interface Training {
  instructed: boolean;
  /** What phase 2 started from; absent where there was none. `either` in a series of both. */
  refinedFrom?: 'instructed' | 'untouched' | 'either';
  /** Which of its two answers the student was trained to prefer; `either` in a series of both. */
  prefers: 'reasoned' | 'direct' | 'either';
}

/** The training of one experiment. */
export function trainingOf({ phases: { instruct, selfRefine } }: Pick<Experiment, 'phases'>): Training {
  return {
    instructed: instruct !== false,
    ...(selfRefine === false ? {} : { refinedFrom: instruct === false ? 'untouched' : 'instructed' }),
    prefers: selfRefine !== false && selfRefine.direction === 'answer' ? 'direct' : 'reasoned',
  };
}

const REFINED_FROM: Record<NonNullable<Training['refinedFrom']>, string> = {
  instructed: 'the instruction-tuned student',
  untouched: 'the untouched student',
  either: 'the student, instruction-tuned where there was a phase 1,',
};

const PREFERS: Record<Training['prefers'], string> = {
  reasoned: 'the answer that reasons; where that one is wrong, the teacher’s answer stands in for it.',
  direct: 'the answer given at once.',
  either: 'one of the two; which one is a setting of this series.',
};

/** What an introduction depends on; of one run or of a series. */
export interface Introduced {
  parameters: number;
  training: Training;
  /** Systems that were evaluated. */
  systems: readonly SystemName[];
  scorers: readonly string[];
  /** Whether tasks of the lesson are among those evaluated. */
  lesson: boolean;
  /** A series has means over seeds. */
  overSeeds: boolean;
}

function systemMeaning(system: SystemName, { refinedFrom = 'instructed', prefers }: Training): string {
  switch (system) {
    case 'Baseline':
      return 'the student as it was before this training.';
    case 'Instruction-tuned':
      return 'the student after phase 1: trained on demonstrations, which are questions with a teacher’s answer that reasons step by step.';
    case 'Instruction-tuned, more steps':
      return 'the control: the instruction-tuned student with further steps of phase 1 in place of phase 2. It tells whether phase 2 does more than training for longer would.';
    case 'Self-refined':
      return `the student after phase 2: ${REFINED_FROM[refinedFrom]} answers questions twice, once asked to think step by step and once not, and is trained (DPO) to prefer ${PREFERS[prefers]}`;
  }
}

const SCORER_MEANINGS: readonly (readonly [string, string])[] = [
  ['strict', 'reads the one answer that a text commits to, and compares that.'],
  ['literal', 'lenient: right where the target occurs anywhere in the text, whatever the text concludes.'],
  ['paper-compat', 'the rule of the authors’ earlier published code: a regular expression, then likeness of texts.'],
  [
    PROBINGS.letter.sum,
    'generates nothing: the option letter with the highest probability. Guessing gives about one over the number of options.',
  ],
  [
    PROBINGS.letter.mean,
    'the same by the mean over the letter’s tokens: it differs only where letters are of several tokens.',
  ],
  [
    PROBINGS.text.sum,
    'generates nothing: the option whose text has the highest probability. Long texts are at a disadvantage.',
  ],
  [PROBINGS.text.mean, 'the same by the mean over the text’s tokens, so that long texts are not at a disadvantage.'],
];

/** Whatever the number of samples. */
const SELF_CONSISTENCY =
  'so many answers to the CoT prompt are sampled, the strict scorer reads each, and what most say counts; of answers equally frequent the one sampled first, and texts without an answer do not vote. “Cut off” counts samples.';

/** What is being reported, in a few sentences; the meaning of the numbers folds open. */
export function introduction(of: Introduced): string {
  const { instructed, refinedFrom } = of.training;
  const training = [
    ...(instructed ? ['on a teacher’s worked answers'] : []),
    ...(refinedFrom === undefined ? [] : [`${instructed ? 'then ' : ''}on pairs of its own answers`]),
  ].join(', ');
  const what = training === '' ? 'was tested as it is' : `was trained to reason step by step: ${training}`;
  const terms: (readonly [string, string])[] = [
    [
      'Accuracy %',
      'the share of n test questions, kept apart from the training questions, that were answered correctly.',
    ],
    ...(of.overSeeds
      ? ([['± sd', 'how much the accuracy scatters from seed to seed (sample standard deviation).']] as const)
      : ([
          [
            '95 % interval',
            'Wilson’s: accuracies that n questions leave plausible. It says what the choice of questions may do, not what another seed may do.',
          ],
        ] as const)),
    ['Points', 'the difference of two percentages: from 50 % to 60 % is 10 points.'],
    [
      'p',
      'McNemar’s exact test of two systems on the same questions: how often chance alone would set two equally good systems at least so far apart.',
    ],
    ['Plain prompt', 'the question, with its options where it has any.'],
    ['CoT prompt', 'the same with “Let’s think step by step” (chain of thought).'],
    ...SCORER_MEANINGS.filter(([scorer]) => of.scorers.includes(scorer)).map(
      ([scorer, text]) => [`Scorer: ${scorer}`, text] as const,
    ),
    ...[...new Set(of.scorers)]
      .filter(isSelfConsistency)
      .map((scorer) => [`Scorer: ${scorer}`, SELF_CONSISTENCY] as const),
    ...(of.overSeeds ? [] : ([['Cut off', 'answers that reached the limit of tokens before they ended.']] as const)),
  ];
  return (
    `<p>A small language model, the <b>student</b> (${number(of.parameters)} parameters), ${what}. The method is Self-refine Instruction-tuning (arXiv 2405.00402). This page compares the same student at different stages, called systems:</p>` +
    `<ul>${of.systems.map((system) => `<li><b>${escapeHtml(system)}</b>: ${escapeHtml(systemMeaning(system, of.training))}</li>`).join('')}</ul>` +
    (of.lesson
      ? '<p>The lesson’s questions are generated and its teachers are scripts, no language models. A student pretrained on the lesson’s corpus has read the wording and whole chains of reasoning there: a gain shows that training brings out what is latent, not that it teaches from nothing.</p>'
      : '') +
    `<details><summary>What the numbers mean</summary>${definitions(terms)}</details>`
  );
}

const chance = (p: number | undefined): string =>
  p === undefined ? 'not tested' : `p ${p < 0.001 ? '' : '= '}${pValue(p)}`.replaceAll(' ', '\u00a0');

const strong = (kind: string, text: string): string => `<b${kind === '' ? '' : ` class="${kind}"`}>${text}</b>`;

/** One step as a sentence. `subject` begins it, and is HTML already. */
function sentence(subject: string, step: Step): string {
  const points = Math.abs(step.points).toFixed(1);
  const between = `from ${percent(step.before)} % to ${percent(step.after)} %`;
  const byChance = step.p === undefined ? ' (not tested)' : `, which chance alone could give (${chance(step.p)})`;
  switch (step.verdict) {
    case 'better':
      return `${strong('good', `${subject} improved the accuracy`)} by ${points} points, ${between}: more than chance (${chance(step.p)}).`;
    case 'higher':
      return `${strong('', `${subject} did not clearly improve the accuracy`)}: ${points} points more, ${between}${byChance}.`;
    case 'same':
      return `${strong('', `${subject} did not improve the accuracy`)}: ${percent(step.before)} % before and after.`;
    case 'lower':
      return `${strong('', `${subject} did not improve the accuracy`)}: ${points} points less, ${between}${byChance}.`;
    case 'worse':
      return `${strong('bad', `${subject} made the accuracy worse`)} by ${points} points, ${between}: more than chance (${chance(step.p)}).`;
  }
}

/** Self-refine held against the control: the question that a gain alone leaves open. */
function controlSentence(step: Step): string {
  const points = Math.abs(step.points).toFixed(1);
  const both = `${percent(step.after)} % against the control’s ${percent(step.before)} %`;
  const byChance = step.p === undefined ? ' (not tested)' : `, which chance alone could give (${chance(step.p)})`;
  switch (step.verdict) {
    case 'better':
      return `${strong('good', 'Self-refine did more than training for longer')}: ${both}, ${points} points more, more than chance (${chance(step.p)}).`;
    case 'higher':
      return `${strong('', 'Self-refine is not shown to do more than training for longer')}: ${both}, ${points} points more${byChance}.`;
    case 'same':
      return `${strong('', 'Training for longer reached as much as self-refine')}: ${percent(step.before)} % each.`;
    case 'lower':
      return `${strong('', 'Self-refine did not do more than training for longer')}: ${both}, ${points} points less${byChance}.`;
    case 'worse':
      return `${strong('bad', 'Training for longer did more than self-refine')}: ${both}, ${points} points less, more than chance (${chance(step.p)}).`;
  }
}

/** The control by its size: what it did in place of self-refine. */
function controlName({ timings }: Pick<RunReport, 'timings'>): string {
  const steps = (phase: string): number | undefined => timings.find((row) => row.phase === phase)?.steps;
  const [own, refine] = [steps('control'), steps('self-refine')];
  const size = own === undefined ? 'further steps' : own === 1 ? '1 further step' : `${number(own)} further steps`;
  const other = refine === undefined ? '' : `’s ${number(refine)}`;
  return `The control (${size} of instruction-tuning in place of self-refine${other})`;
}

function sentences(report: RunReport, finding: Finding): string[] {
  const { first, refine, overall, control, beyondControl, rows } = finding;
  const [only] = rows;
  if (rows.length === 1 && only !== undefined) {
    return [
      `Only ${escapeHtml(only.system)} was evaluated: ${percent(only.correct / only.n)} % (95 % interval ${percent(only.low)} – ${percent(only.high)}). There is nothing to compare it with.`,
    ];
  }
  return [
    ...(first === undefined
      ? []
      : [sentence(first.to === 'Self-refined' ? 'Self-refine alone' : 'Instruction-tuning', first)]),
    ...(refine === undefined ? [] : [sentence('Self-refine', refine)]),
    ...(overall === undefined ? [] : [sentence('Both phases together', overall)]),
    ...(control === undefined ? [] : [sentence(controlName(report), control)]),
    ...(beyondControl === undefined ? [] : [controlSentence(beyondControl)]),
  ];
}

/** `Baseline 55.0 % → … (n = 100)`: the accuracies in one line of HTML. The control leads nowhere: it stands behind. */
function headline({ rows }: Finding): string {
  const sizes = [...new Set(rows.map((row) => row.n))];
  const size = (n: number | undefined): string => ` <span class="soft">(n\u00a0=\u00a0${n})</span>`;
  const [steps, controls] = [false, true].map((isControl) =>
    rows
      .filter(({ system }) => (system === 'Instruction-tuned, more steps') === isControl)
      .map(
        ({ system, correct, n }) =>
          `${escapeHtml(system)} <b>${percent(correct / n)}\u00a0%</b>${sizes.length === 1 ? '' : size(n)}`,
      )
      .join(' → '),
  );
  return (
    [steps, controls].filter((text) => text !== '').join('; control: ') + (sizes.length === 1 ? size(sizes[0]) : '')
  );
}

function taskHeading(report: RunReport, taskId: string): string {
  const trained = new Set(report.demonstrations.filter(({ used }) => used > 0).map((row) => row.taskId));
  const notes = [
    report.tasks.find((task) => task.taskId === taskId && task.benchmark !== taskId)?.benchmark ?? '',
    trained.size === 0 ? '' : trained.has(taskId) ? 'trained on' : 'out of domain: only tested',
  ].filter((text) => text !== '');
  const note = notes.length === 0 ? '' : ` <span class="soft">${escapeHtml(notes.join(', '))}</span>`;
  return `<h3>${escapeHtml(taskId)}${note}</h3>`;
}

/** What the run shows, a list of sentences for each task and prompt; nothing where nothing was evaluated. */
export function conclusions(report: RunReport): string {
  const all = findings(report);
  if (all.length === 0) return '';
  const tasks = [...new Set(all.map(({ taskId }) => taskId))];
  const parts = tasks.map((taskId) => {
    const own = all.filter((finding) => finding.taskId === taskId);
    // The untouched student is asked both ways even where tuned students are not: on its own that says nothing new.
    const told = own.some(({ rows }) => rows.length > 1) ? own.filter(({ rows }) => rows.length > 1) : own;
    const blocks = told.map((finding, i) => {
      const prompt = finding.prompt === 'cot' ? 'CoT' : 'plain';
      const list = `<ul>${sentences(report, finding)
        .map((text) => `<li>${text}</li>`)
        .join('')}</ul>`;
      return i === 0
        ? `<p class="soft">With the ${prompt} prompt, by the scorer “${escapeHtml(finding.scorer)}”:</p><p>${headline(finding)}</p>${list}`
        : `<details><summary class="plain">With the ${prompt} prompt: ${headline(finding)}</summary>${list}</details>`;
    });
    return taskHeading(report, taskId) + blocks.join('');
  });
  const systems = new Set(all.flatMap(({ rows }) => rows.map(({ system }) => system)));
  const limits = [
    `“More than chance” means p below ${SIGNIFICANCE}${report.comparisons.length > 1 ? `; p is not corrected for the ${number(report.comparisons.length)} tests of this page` : ''}.`,
    `This is one run with one seed${systems.size > 1 ? ': another seed may give other differences' : ''}.`,
    ...(systems.has('Self-refined') && systems.has('Instruction-tuned') && !systems.has('Instruction-tuned, more steps')
      ? [
          'No control was run: whether further instruction-tuning would have reached as much as self-refine cannot be told from this run.',
        ]
      : []),
  ];
  return `${parts.join('\n')}<p class="soft">${limits.join(' ')}</p>`;
}
