// evaluateAlone.ts: one student, with or without an adapter, on the test questions of an experiment, outside any run: nothing
// is trained, and nothing of it is resumed.
import type { ProgressListener } from '../base/progress';
import type { Experiment } from '../config/experiment';
import type { Gpu } from '../gpu/device';
import { Adapter } from '../model/adapter';
import { loadAdapterFile } from '../recipes/files';
import { openFileRoot } from '../sources/fileRoot';
import type { OpenRoot } from '../sources/openRoot';
import { MemoryRunStore } from '../storage/memory';
import { RunBook } from './book';
import type { RunControl } from './control';
import { evaluateSystem, systemOf } from './evaluation';
import { describeEnvironment, loadStudentWeights, openStudent } from './load';
import { jsonLines } from './jsonLines';
import { expectMemory } from './memoryStages';
import { predictionLines } from './predictionLines';
import { prepare, questionsOnly } from './prepare';
import type { EvaluateRequest, EvaluationRow, SessionEvent } from './protocol';
import type { StudentPlace } from './studentCaching';

/** Accuracies of the student that `request` names; its answers go to `request.out`. */
export async function evaluateAlone({
  gpu,
  request,
  files,
  experiment,
  students,
  control,
  listener,
}: {
  gpu: Gpu;
  request: EvaluateRequest;
  /** The request's, opened. */
  files: OpenRoot;
  /** The request's, checked and resolved. */
  experiment: Experiment;
  /** Where students are cached. */
  students: StudentPlace | undefined;
  control: RunControl;
  listener: (event: SessionEvent) => void;
}): Promise<EvaluationRow[]> {
  const onProgress: ProgressListener = (progress) => listener({ type: 'progress', progress });
  const opened = await openStudent(experiment, files, students);
  const narrowed = questionsOnly(experiment);
  const prepared = await prepare(narrowed, files, opened.tokenizer, opened.config);
  expectMemory(narrowed, prepared, opened.config, gpu.tier);
  const student = await loadStudentWeights(gpu, experiment, opened, onProgress, control.signal);
  let adapter: Adapter | undefined;
  try {
    if (request.adapter !== undefined) {
      adapter = Adapter.fromPeft(student, await loadAdapterFile(files, request.adapter));
    }
    // An evaluation alone keeps its books in memory: nothing of it is resumed.
    const book = new RunBook(
      'evaluation',
      experiment.name,
      gpu,
      new MemoryRunStore(),
      control,
      {
        startedAt: new Date().toISOString(),
        experiment: {},
        environment: describeEnvironment(gpu),
        student: opened.report,
        data: '',
        phase: 'evaluate',
        step: 0,
        sequence: 0,
        metrics: [],
        evaluations: [],
        predictions: [],
        timings: [],
        checkpointBytes: 0,
        adapterFileBytes: 0,
        gpuPeak: 0,
        log: [],
        tensors: {},
      },
      listener,
      Infinity,
    );
    for (const { level, message } of opened.notes) book.log(level, message);
    for (const warning of prepared.warnings) book.log('warning', warning);
    await evaluateSystem(book, narrowed, prepared, opened.eosIds, {
      system: systemOf(request.adapter),
      wrap: adapter === undefined ? 'bare' : 'wrapped',
      prompts: experiment.evaluation.prompts,
      student,
      adapter,
    });
    if (request.out !== undefined) {
      await openFileRoot(request.out).write('predictions.jsonl', jsonLines(predictionLines(book.state, prepared)));
    }
    return book.state.evaluations;
  } finally {
    adapter?.destroy();
    student.destroy();
  }
}
