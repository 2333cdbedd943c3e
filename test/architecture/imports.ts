// imports.ts: what a source file imports and which of the house's guarded names it uses, read by TypeScript's own parser:
// every form of import, types and templates of Svelte included. It knows no floors; rules.ts does.
import ts from 'typescript';

/** Names that only one folder may use. */
export type Guarded = 'gpu' | 'storage';

export interface Reading {
  /** Specifiers of static, dynamic, type and re-exported imports, `new URL('…', import.meta.url)` and import.meta.glob. */
  imports: string[];
  /** Imports whose target only shows at run time: nobody can hold them to a rule. */
  computed: string[];
  guarded: Guarded[];
  /** Only re-exports, of whatever form. */
  barrel: boolean;
}

/** The script blocks of a Svelte file, and the expressions of its markup that may import or name something. */
function scriptsOf(text: string): string[] {
  const markup = text.replace(/<!--[\s\S]*?-->/g, ' ');
  const scripts = [...markup.matchAll(/<script\b[^>]*>([\s\S]*?)<\/script>/g)].map((match) => match[1] ?? '');
  const rest = markup.replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/g, ' ');
  // `{expression}` and `{#await expression}`: braces inside a pair are kept, so that arrow functions survive.
  const expressions: string[] = [];
  for (let at = 0; at < rest.length; at++) {
    if (rest[at] !== '{') continue;
    let depth = 0;
    let end = at;
    for (; end < rest.length; end++) {
      if (rest[end] === '{') depth++;
      if (rest[end] === '}' && --depth === 0) break;
    }
    expressions.push(`(${rest.slice(at + 1, end).replace(/^[#:/@][\w-]+\s*|\s+(as|then|catch)\s[\s\S]*$/g, '')})`);
    at = end;
  }
  return [...scripts, ...expressions];
}

const text = (node: ts.Node | undefined): string | undefined =>
  node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined;

/** `import.meta.url` and the like. */
const isMeta = (node: ts.Node): boolean => ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword;

/** Whether an expression is, or is a cast of, something that ends in this name. */
function endsIn(node: ts.Node, name: string): boolean {
  if (ts.isIdentifier(node)) return node.text === name;
  if (ts.isPropertyAccessExpression(node)) return node.name.text === name;
  if (ts.isElementAccessExpression(node)) return text(node.argumentExpression) === name;
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isNonNullExpression(node)) {
    return endsIn(node.expression, name);
  }
  if (ts.isSatisfiesExpression(node) || ts.isAwaitExpression(node)) return endsIn(node.expression, name);
  if (ts.isBinaryExpression(node)) return endsIn(node.left, name) || endsIn(node.right, name);
  if (ts.isConditionalExpression(node)) return endsIn(node.whenTrue, name) || endsIn(node.whenFalse, name);
  return false;
}

/** The property that a node takes off an object: `a.x`, `a?.x`, `a['x']`. */
function accessOf(node: ts.Node): { object: ts.Node; name: string } | undefined {
  if (ts.isPropertyAccessExpression(node)) return { object: node.expression, name: node.name.text };
  if (!ts.isElementAccessExpression(node)) return undefined;
  const name = text(node.argumentExpression);
  return name === undefined ? undefined : { object: node.expression, name };
}

/** The names that a destructuring takes, and from what. */
function destructured(node: ts.Node): { object: ts.Node; names: string[] } | undefined {
  if (!ts.isVariableDeclaration(node) || !ts.isObjectBindingPattern(node.name) || node.initializer === undefined) {
    return undefined;
  }
  const names = node.name.elements.map((element) => {
    const name = element.propertyName ?? element.name;
    return ts.isIdentifier(name) ? name.text : (text(name) ?? '');
  });
  return { object: node.initializer, names };
}

const INDEXED_DB = /^(indexedDB|IDB[A-Z]\w*)$/;
const OPFS = new Set(['getDirectory', 'createSyncAccessHandle']);

function readScript(code: string, path: string, into: Reading): void {
  const file = ts.createSourceFile(`${path}.ts`, code, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const add = (specifier: string | undefined, node: ts.Node): void =>
    void (specifier === undefined ? into.computed.push(node.getText(file).slice(0, 80)) : into.imports.push(specifier));
  /** All texts of a glob: one pattern, or a list of them. */
  const addAll = (node: ts.Node | undefined, call: ts.Node): void => {
    if (node !== undefined && ts.isArrayLiteralExpression(node)) node.elements.forEach((one) => add(text(one), call));
    else add(text(node), call);
  };

  const visitCall = (node: ts.CallExpression): void => {
    const { expression } = node;
    if (expression.kind === ts.SyntaxKind.ImportKeyword) add(text(node.arguments[0]), node);
    if (ts.isIdentifier(expression) && expression.text === 'require') add(text(node.arguments[0]), node);
    const access = accessOf(expression);
    if (access !== undefined && /^glob/.test(access.name) && isMeta(access.object)) addAll(node.arguments[0], node);
  };

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(text(node.moduleSpecifier), node);
    if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) add(text(node.moduleSpecifier), node);
    if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(text(node.moduleReference.expression), node);
    }
    if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? text(node.argument.literal) : undefined, node);
    }
    if (ts.isCallExpression(node)) visitCall(node);
    if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'URL') {
      const [address, base] = node.arguments ?? [];
      const relative = base !== undefined && ts.isPropertyAccessExpression(base) && isMeta(base.expression);
      if (relative) add(text(address), node);
    }
    const access = accessOf(node);
    const taken = destructured(node);
    const takes = (name: string, from: string): boolean =>
      (access?.name === name && endsIn(access.object, from)) ||
      (taken?.names.includes(name) === true && endsIn(taken.object, from));
    if (takes('gpu', 'navigator')) into.guarded.push('gpu');
    const names = [access?.name ?? '', ...(taken?.names ?? []), ts.isIdentifier(node) ? node.text : ''];
    if (names.some((name) => INDEXED_DB.test(name) || OPFS.has(name))) into.guarded.push('storage');
    ts.forEachChild(node, visit);
  };
  visit(file);
}

/** Whether every statement passes something on: `export … from`, or imports followed by `export { … }`. */
function isBarrel(code: string): boolean {
  const { statements } = ts.createSourceFile('barrel.ts', code, ts.ScriptTarget.Latest, true);
  const passesOn = statements.some((one) => ts.isExportDeclaration(one));
  return passesOn && statements.every((one) => ts.isExportDeclaration(one) || ts.isImportDeclaration(one));
}

/** Reads a `.ts`, `.js` or `.svelte` file. */
export function read(path: string, source: string): Reading {
  const reading: Reading = { imports: [], computed: [], guarded: [], barrel: false };
  const svelte = path.endsWith('.svelte');
  for (const code of svelte ? scriptsOf(source) : [source]) readScript(code, path, reading);
  reading.barrel = !svelte && isBarrel(source);
  return reading;
}
