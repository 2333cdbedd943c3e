// notice.ts: an error as the page shows it: what happened and what to do. It shows nothing itself.
import { PupilError, toPlainError } from '../../base/errors';

export interface Notice {
  code: string;
  message: string;
  hint?: string;
}

/** Any thrown value as a notice. */
export function toNotice(error: unknown): Notice {
  const { code, message, hint } = toPlainError(error);
  if (hint !== undefined) return { code, message, hint };
  return code === 'internal'
    ? { code, message, hint: 'This is a bug of Pupil. The browser console has the details.' }
    : { code, message };
}

/** True for failures that mean: there is no usable GPU here. */
export function isGpuProblem(error: unknown): boolean {
  return error instanceof PupilError && error.code.startsWith('gpu-');
}
