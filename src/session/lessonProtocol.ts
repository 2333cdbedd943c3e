// lessonProtocol.ts: what a page that explains a run is told beside its results: texts of the teacher and the student as they
// come, and how fast to go. Types only; SessionApi extends PaceApi, SessionEvent has the events.

/**
 * One demonstration that the run trains on or samples from. They are told when the data has been read, of many at most 64,
 * spread evenly. Texts here and below are cut after 2000 characters, with a note.
 */
export interface DemonstrationEvent {
  type: 'demonstration';
  taskId: string;
  /** Of the teacher. */
  label: string;
  instruction: string;
  /** With its options and what asks for reasoning. */
  question: string;
  answer: string;
  target: string;
  /** Whether the answer gives the target. */
  correct: boolean;
  /** From 0, among all of the run; and how many these are. */
  index: number;
  total: number;
}

/** One answer of the instructed student to a demonstration's question, y from x or ŷ from x̂. Of many at most 64 of each. */
export interface SampledEvent {
  type: 'sampled';
  which: 'y' | 'y-hat';
  taskId: string;
  prompt: string;
  text: string;
  target: string;
  correct: boolean;
  /** From 0, among all answers of this kind; y and ŷ of one index belong together. */
  index: number;
  total: number;
}

/** One preference pair that was made. Of many at most 64; the session's pause, step and pace act between two of them. */
export interface PairEvent {
  type: 'pair';
  taskId: string;
  /** Under which both answers are scored. */
  prompt: string;
  chosen: string;
  rejected: string;
  target: string;
  chosenFrom: 'student' | 'teacher';
  /** Names of the counts that it went into (config: pair cases). */
  cases: string[];
  /** From 0, among all pairs. */
  index: number;
  total: number;
}

export interface PaceApi {
  /**
   * A rest after every unit of work (an optimiser step, a batch of answers, a pair that is shown) of this session's run and of
   * those to come: for explaining. It changes no number, and no time that a report contains. 0: none.
   * @throws PupilError `usage` beyond 0 to 60,000 ms
   */
  setPace(pace: { restMs: number }): Promise<void>;
}
