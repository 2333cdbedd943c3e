// slug.ts: a name as a part of file names and ids. Only that.

/** Letters, digits and dashes of a name: `Lesson task C, student p10` → `lesson-task-c-student-p10`. */
export function slug(name: string): string {
  const text = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  return text === '' ? 'run' : text;
}
