// html.ts: a run's report as one self-contained HTML page: no script, no network, readable on a phone and in the dark.
// It draws what RunReport says and computes nothing of its own. Texts from models and files are escaped in escape.ts.
import { matchesOneAnswer } from '../config/scorerNames';
import { SYSTEM_NAMES } from '../config/systems';
import { curves } from './curves';
import { duration, escapeHtml, number, percent } from './escape';
import { definitions, page, section } from './page';
import { answerBox, samples } from './samples';
import {
  bytesTable,
  comparisonTable,
  demonstrationTable,
  evaluationTable,
  LENIENT,
  pairTable,
  scorerTable,
  taskTable,
  timingTable,
} from './tables';
import type { RunReport } from './types';
import { conclusions, introduction, trainingOf } from './words';

/** Pages stay small enough for a phone: more examples than this are in pairs.jsonl. */
const MAX_PAIRS = 12;

const PAIRS_NOTE =
  '<p class="soft">For each question the student gives two answers: y to the plain prompt x, ŷ to the CoT prompt x̂. A pair says which answer to prefer (y_w, chosen) and which not (y_l, rejected).</p>';

const time = (iso: string): string => iso.replace('T', ' ').replace(/\.\d+Z$/, ' UTC');

function header(report: RunReport): string {
  const total = report.timings.reduce((sum, row) => sum + row.seconds, 0);
  const notes = report.experiment.notes;
  return (
    `<header><h1>${escapeHtml(report.name)}</h1>` +
    `<p><span class="state ${report.state}">${report.state}</span> <span class="soft">${escapeHtml(
      `${time(report.startedAt)} – ${time(report.finishedAt)} · ${duration(total)} of work · seed ${report.experiment.seed}`,
    )}</span></p>` +
    (notes === undefined ? '' : `<p>${escapeHtml(notes)}</p>`) +
    '</header>'
  );
}

/** What a reader must know before the numbers: unfinished runs, and students that cannot do the task at all. */
function notices(report: RunReport): string {
  const out: string[] = [];
  if (report.state !== 'finished') {
    const why = report.error === undefined ? '' : ` (${report.error.message})`;
    out.push(
      `This run ${report.state === 'failed' ? 'failed' : 'was stopped'} before its end${why}; what follows is what there was by then.`,
    );
  }
  // Probing picks one of the options whatever the student can do: a share at chance is no ability.
  const rows = report.evaluations.filter((row) => row.n > 0 && matchesOneAnswer(row.scorer));
  if (rows.length > 0 && rows.every((row) => row.correct / row.n < 0.05)) {
    const best = Math.max(...rows.map((row) => row.correct / row.n));
    out.push(
      `No system answered more than ${percent(best)} % of the questions correctly: this student cannot do the task. ` +
        'The run shows that every part works on real input, not that the method helps.',
    );
  }
  if (report.environment.software) {
    out.push('Measured on a software adapter: the numbers are right, the times say nothing about a GPU.');
  }
  return out.map((text) => `<p class="notice">${escapeHtml(text)}</p>`).join('\n');
}

function about(report: RunReport): string {
  return introduction({
    parameters: report.student.parameters,
    training: trainingOf(report.experiment),
    systems: SYSTEM_NAMES.filter((system) => report.evaluations.some((row) => row.system === system)),
    scorers: [
      ...new Set([
        ...report.evaluations.map((row) => row.scorer),
        ...(report.scorers ?? []).flatMap((row) => Object.keys(row.correct)),
      ]),
    ],
    lesson: report.experiment.tasks.some((task) => task.id.startsWith('lesson')),
    overSeeds: false,
  });
}

/** Strict against lenient, of the same answers; nothing in reports of earlier versions. */
function scorers(report: RunReport): string {
  const rows = report.scorers ?? [];
  return rows.length === 0
    ? ''
    : `<p>${LENIENT}</p><p class="soft">The results above go by the scorer “${escapeHtml(report.experiment.evaluation.scorer)}”.</p>${scorerTable(rows)}`;
}

function pairs(report: RunReport): string {
  if (report.pairs === undefined) return '';
  const shown = report.pairs.samples
    .slice(0, MAX_PAIRS)
    .map(
      (pair) =>
        `<details><summary>Target ${escapeHtml(pair.target)} <span class="soft">${escapeHtml(pair.taskId)}</span></summary>` +
        `<pre class="soft">${escapeHtml(pair.prompt)}</pre><div class="answers">` +
        answerBox('Chosen (y_w)', pair.chosen, `<span class="soft">by the ${escapeHtml(pair.chosenFrom)}</span>`) +
        answerBox('Rejected (y_l)', pair.rejected, '<span class="soft">by the student</span>') +
        '</div></details>',
    );
  const kept = report.kept;
  const rule =
    kept === undefined
      ? ''
      : `<p>Kept: step ${number(kept.step)} by the rule “${escapeHtml(kept.rule)}”${
          kept.validationLoss === undefined ? '' : `, validation loss ${number(kept.validationLoss)}`
        }${
          kept.validationChosenLogp === undefined
            ? ''
            : `, validation log-probability of the chosen answers ${number(kept.validationChosenLogp)}`
        }.</p>`;
  return PAIRS_NOTE + pairTable(report.pairs.counts, report.pairs.meanings) + rule + shown.join('\n');
}

function environment(report: RunReport): string {
  const e = report.environment;
  const s = report.student;
  const variants = Object.entries(e.variants).map(([name, value]) => `${name}: ${value}`);
  return definitions([
    ['Student', s.source],
    [
      'Parameters',
      `${number(s.parameters)} in ${s.layers} layers, width ${s.hiddenSize}, vocabulary ${number(s.vocabSize)}`,
    ],
    ['Quantisation', s.quantize],
    ['Fingerprint', s.fingerprint],
    ['GPU', [e.vendor, e.architecture, e.device, e.description].filter((text) => text !== '').join(' · ')],
    ['Software adapter', e.software ? 'yes' : 'no'],
    ['Tier', e.tier],
    ...(variants.length === 0 ? [] : [['Kernel variants', variants.join(', ')] as const]),
    ['Host', `${e.host} · ${e.userAgent}`],
    ['Pupil', e.pupilVersion],
    ['Run', report.runId],
  ]);
}

function rejectedLines(report: RunReport): string {
  const lines = report.demonstrations.flatMap((d) => d.rejectedExamples.map((text) => `${d.label}: ${text}`));
  return lines.length === 0
    ? ''
    : `<details><summary>Unusable lines (first examples)</summary><pre>${escapeHtml(lines.join('\n'))}</pre></details>`;
}

function log(report: RunReport): string {
  if (report.log.length === 0) return '';
  const lines = report.log.map((l) =>
    l.level === 'warning' ? `<span class="warning">warning: ${escapeHtml(l.message)}</span>` : escapeHtml(l.message),
  );
  return `<details><summary>Run log (${number(lines.length)} lines)</summary><pre>${lines.join('\n')}</pre></details>`;
}

/**
 * The report as a whole HTML document. Deterministic in its argument.
 *
 * @param report the same object that is written as report.json.
 */
export function renderReport(report: RunReport): string {
  const hasRows = report.evaluations.length > 0;
  return page(
    report.name,
    report.environment.pupilVersion,
    `${header(report)}
${notices(report)}
${section('What this page is about', about(report))}
${section('What came of it', conclusions(report))}
${section(
  'Results',
  hasRows ? evaluationTable(report.evaluations) : '<p>Nothing was evaluated in this run.</p>',
  report.comparisons.length > 0 ? comparisonTable(report.comparisons) : '',
)}
${section('Strict against lenient', scorers(report))}
${section('Curves', curves(report))}
${section('Before and after', samples(report.samples))}
${section('Preference pairs', pairs(report))}
${section(
  'Data',
  report.tasks.length > 0 ? taskTable(report.tasks) : '',
  report.demonstrations.length > 0 ? demonstrationTable(report.demonstrations) : '',
  rejectedLines(report),
)}
${section('Student and machine', environment(report), timingTable(report.timings), bytesTable(report.bytes))}
${section(
  'Settings',
  `<details><summary>The whole experiment, defaults filled in</summary><pre>${escapeHtml(
    JSON.stringify(report.experiment, null, 2),
  )}</pre></details>`,
  report.artefacts.length === 0
    ? ''
    : `<p class="soft">Files of this run: ${report.artefacts.map(escapeHtml).join(', ')}</p>`,
  log(report),
)}`,
  );
}
