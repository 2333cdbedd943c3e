// previewTypes.ts: what is asked and told about files before a run reads them: a part of protocol.ts, through which page and
// command line know it. Types only; everything survives structured cloning.
import type { ColumnMapping, DemonstrationsConfig, TaskConfig } from '../config/experiment';
import type { RejectedRow } from '../formats/rows';
import type { FileRoot } from '../sources/fileRoot';
import type { Demonstration } from '../teachers/demonstration';
import type { FormatGuess } from '../teachers/diskGuess';

/** A file as a person picked it, not kept anywhere yet. Its name stands for its path in messages and in `files`. */
export type PickedContents = Record<string, Uint8Array>;

export interface DemonstrationsPreviewRequest {
  /** The experiment's document, whose task they are for. */
  experiment: unknown;
  files: FileRoot;
  /** As in the experiment. Without `format` it is guessed from the first file. */
  entry: Pick<DemonstrationsConfig, 'label' | 'task' | 'files'> & Partial<DemonstrationsConfig>;
  /** Of files that `entry` names and that are nowhere else yet. */
  contents?: PickedContents;
}

export type PreviewedDemonstration = Demonstration & {
  /** Whether its item is in the training part: only then it is trained on. */
  inTraining: boolean;
};

export interface DemonstrationsPreview {
  /** Of the first file, whatever the entry says. Absent where it lies in no file that can be looked at. */
  guess?: FormatGuess;
  /** The entry as it was read, defaults filled in; absent where a person has to name question and answer first. */
  entry?: DemonstrationsConfig;
  /** In the order of the files, edits in place, excluded ones among them. */
  demonstrations: PreviewedDemonstration[];
  /** All rows that cannot be used, with the reason: damaged ones, and those of questions that the task does not have. */
  rejected: RejectedRow[];
  /** Ids in `exclude` and `edits` that no demonstration has. */
  unknownIds: string[];
  /** Training questions of the task, and how many of them have a demonstration here. */
  trainItems: number;
  covered: number;
  /** The teacher's own accuracy on them (Table 5), by the task's strict extractor, with Wilson's interval. */
  teacher: { n: number; correct: number; low: number; high: number };
  /** Warnings about the task's own files. */
  warnings: string[];
}

export interface TaskPreviewRequest {
  /** As in the experiment, with the id `custom`. Without `mapping` it is guessed. */
  task: Pick<TaskConfig, 'name' | 'files'> & Partial<Pick<TaskConfig, 'mapping' | 'split'>>;
  /** Absent where `contents` has all of them. */
  files?: FileRoot;
  contents?: PickedContents;
}

export interface PreviewedItem {
  id: string;
  question: string;
  choices?: readonly string[];
  target: string;
  part: 'train' | 'test' | 'dropped';
  /** Why, where it is dropped. */
  reason?: string;
}

export interface TaskPreview {
  columns: string[];
  /** The first rows as they stand in the files. */
  firstRows: Record<string, unknown>[];
  /** The columns that were read; absent where they could not be guessed. */
  mapping?: ColumnMapping;
  /** What the guess rests on, or why there is none. */
  guess: string;
  /** In the order of the files. */
  items: PreviewedItem[];
  rejected: RejectedRow[];
  /** Items whose question had occurred before, and questions that occur with different targets. */
  duplicates: number;
  conflicting: string[];
  /** Training questions that are in the test file too: they are left out of training. */
  trainInTest: number;
}
