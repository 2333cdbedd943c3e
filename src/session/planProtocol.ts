// planProtocol.ts: what is asked and said of a student before it is downloaded. Types only; SessionApi extends PlanApi.
import type { PlanLimits, StudentPlan, StudentSettings } from '../model/studentPlan';
import type { FileRoot } from '../sources/fileRoot';

export type { PlanLimits, PlannedTensor, Remedy, StudentPlan, StudentSettings } from '../model/studentPlan';

export interface PlanStudentRequest {
  files: FileRoot;
  /** The student's folder within `files`; '' where `files` is that folder. */
  student: string;
  /** What differs from STUDENT_SETTINGS of model/studentPlan.ts. */
  settings?: Partial<StudentSettings>;
  /** Bytes that may be held on the GPU at most. */
  budgetBytes?: number;
  /** Absent: those of the session's device, where one is open. */
  limits?: PlanLimits;
  /** Settings that no remedy changes. */
  fixed?: readonly (keyof StudentSettings)[];
}

export interface PlannedStudent extends StudentPlan {
  /** The folder as it was named. */
  student: string;
  /** Its weights are stored in 4 bits: `quantize` of an experiment must be `none`. */
  prequantised: boolean;
  download: {
    bytes: number;
    /** `index`: total_size of model.safetensors.index.json; `file`: the size of model.safetensors; else an estimate. */
    from: 'index' | 'file' | 'estimate';
  };
}

export interface PlanApi {
  /**
   * Reads config.json and, of the weights, only their size: a model that is not supported, or that does not fit, is known
   * before anything is downloaded. Needs no GPU: without an open device and without limits, nothing is said of them.
   */
  planStudent(request: PlanStudentRequest): Promise<PlannedStudent>;
}
