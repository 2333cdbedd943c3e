// problems.ts: what is wrong with an experiment, as (path, expected, value) for a person to read. It turns valibot's
// issues into that form. It knows no setting and throws nothing.
import type { BaseIssue } from 'valibot';

/** One thing wrong: where, what was expected, what came (as short JSON). */
export interface ConfigProblem {
  path: string;
  expected: string;
  value: string;
  /** Paths of the settings that are to be changed, where that is not `path` itself: of a rule between several. */
  fields?: readonly string[];
}

/** A value as JSON of at most 80 characters. */
export function shortJson(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function keysOf(issue: BaseIssue<unknown>): (string | number)[] {
  return (issue.path ?? []).map((item) => item.key as string | number);
}

/** `a.b[0].c`, or `(document)` for the root. */
export function pathText(keys: readonly (string | number)[]): string {
  const text = keys.map((k) => (typeof k === 'number' ? `[${k}]` : `.${k}`)).join('');
  return text === '' ? '(document)' : text.replace(/^\./, '');
}

function expectation(issue: BaseIssue<unknown>): string {
  if (issue.type === 'strict_object' && issue.expected === 'never') return 'no such key (unknown)';
  if (issue.received === 'undefined') return `a value (${issue.expected ?? issue.type})`;
  // What the schema itself says goes before the library's words, of which a pattern is the least readable.
  if (!issue.message.startsWith('Invalid ')) return issue.message;
  switch (issue.type) {
    case 'integer':
      return 'an integer';
    case 'finite':
      return 'a finite number';
    case 'non_empty':
      return 'a text that is not empty';
    case 'min_length':
      return 'at least one entry';
    case 'url':
      return 'a URL';
    default:
      return issue.expected ?? issue.message;
  }
}

/**
 * Every issue, one problem each. Of a union ("false or an object", "all or train and test") the branches that the value
 * cannot have meant are dropped, so that the message names the key and not only the union.
 */
export function listProblems(issues: readonly BaseIssue<unknown>[]): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const visit = (issue: BaseIssue<unknown>, prefix: (string | number)[]): void => {
    const keys = [...prefix, ...keysOf(issue)];
    if (
      issue.type === 'union' &&
      issue.issues !== undefined &&
      typeof issue.input === 'object' &&
      issue.input !== null
    ) {
      const deeper = issue.issues.filter((inner) => (inner.path?.length ?? 0) > 0);
      const branches = likeliestBranch(deeper, issue.input as Record<string, unknown>);
      if (branches.length > 0) {
        for (const inner of branches) visit(inner, keys);
        return;
      }
    }
    problems.push({
      path: pathText(keys),
      expected: expectation(issue),
      value:
        issue.type === 'strict_object' && issue.expected === 'never'
          ? shortJson(valueAt(issue))
          : shortJson(issue.input),
    });
  };
  for (const issue of issues) visit(issue, []);
  return problems;
}

function valueAt(issue: BaseIssue<unknown>): unknown {
  const last = issue.path?.at(-1);
  return last === undefined ? issue.input : last.value;
}

/**
 * `files` is the one union of two objects: what counts is whether the value has `all`. Issues of the other branch (its
 * keys missing, ours unknown) are dropped.
 */
function likeliestBranch(issues: readonly BaseIssue<unknown>[], input: Record<string, unknown>): BaseIssue<unknown>[] {
  const names = (issue: BaseIssue<unknown>): string => String(issue.path?.[0]?.key);
  const mentionsFiles = issues.some((issue) => names(issue) === 'all') && issues.some((i) => names(i) === 'train');
  if (!mentionsFiles) return [...issues];
  const own = 'all' in input ? ['all'] : ['train', 'test'];
  const other = 'all' in input ? ['train', 'test'] : ['all'];
  return issues.filter((issue) => {
    const key = names(issue);
    if (own.includes(key)) return issue.expected !== 'never' || issue.type !== 'strict_object';
    return !(other.includes(key) && !(key in input));
  });
}
