// catalogue.ts: the WGSL files themselves, to be read by people: every kernel and every prelude with its header. How kernels
// are put together of them and bound is the business of the wrappers beside this file.

/** One file of shaders/. */
export interface ShaderFile {
  /** The stem: of a kernel its entry point. */
  name: string;
  /** The folder within shaders/. */
  family: string;
  /** `kernel` has an entry point; a `prelude` is put in front of kernels. */
  kind: 'kernel' | 'prelude';
  /** What it does, in the words of its first line. */
  summary: string;
  /** The file's leading comment, without the slashes. */
  header: string;
  code: string;
}

const FILES: Readonly<Record<string, string>> = import.meta.glob('../../shaders/*/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** All of them, by family and name. */
export function shaderFiles(): ShaderFile[] {
  return Object.entries(FILES)
    .map(([path, code]) => describe(path, code))
    .sort((a, b) => (`${a.family}/${a.name}` < `${b.family}/${b.name}` ? -1 : 1));
}

function describe(path: string, code: string): ShaderFile {
  const [family, file] = path.split('/').slice(-2) as [string, string];
  const name = file.replace(/\.wgsl$/, '');
  const comment = /^(?:\/\/[^\n]*(?:\n|$))+/.exec(code)?.[0] ?? '';
  const header = comment
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\/\/ ?/, ''))
    .join('\n');
  return {
    name,
    family,
    kind: new RegExp(`@compute[^{]*fn\\s+${name}\\s*\\(`).test(code) ? 'kernel' : 'prelude',
    summary: header.split('\n')[0]!.replace(/^[\w.]+(?: \([^)]*\))?:\s*/, ''),
    header,
    code,
  };
}
