// One root as a folder of another: a picked student beside an experiment's files.
import { describe, expect, it } from 'vitest';
import { openFileRoot, rootHolding, type FileRoot } from '../../../src/sources/fileRoot';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const root = (): Extract<FileRoot, { kind: 'mounted' }> => ({
  kind: 'mounted',
  at: 'picked:mine',
  root: { kind: 'blobs', files: { 'config.json': new Blob(['picked']), 'sub/a.txt': new Blob(['deep']) } },
  rest: { kind: 'memory', files: { 'config.json': bytes('rest'), 'picked:mine/b.txt': bytes('hidden') } },
});

describe('mounted root', () => {
  it('reads its folder from the one root and all else from the other, as a structured clone too', async () => {
    const { root: picked, ...others } = root();
    const open = openFileRoot({ ...others, root: structuredClone(picked) });
    expect(await open.readText('picked:mine/config.json')).toBe('picked');
    expect(await open.readText('picked:mine/sub/a.txt')).toBe('deep');
    expect(await open.readText('config.json')).toBe('rest');
    expect((await open.open('picked:mine/sub/a.txt'))!.size).toBe(4);
  });
  it('a file that the folder lacks is missing, whatever the other root has', async () => {
    const open = openFileRoot(root());
    expect(await open.open('picked:mine/b.txt')).toBeUndefined();
    await expect(open.readBytes('picked:mine/b.txt')).rejects.toMatchObject({ code: 'source' });
    expect(await open.open('picked:mine-too/config.json')).toBeUndefined();
  });
  it('writes where the path is', async () => {
    const mounted = root();
    const open = openFileRoot(mounted);
    await open.write('out.txt', bytes('x'));
    expect(Object.keys((mounted.rest as { files: object }).files)).toContain('out.txt');
    await expect(open.write('picked:mine/x', bytes('x'))).rejects.toMatchObject({ code: 'usage' });
  });
  it('says which root holds a path', () => {
    const mounted = root();
    expect(rootHolding(mounted, 'picked:mine').kind).toBe('blobs');
    expect(rootHolding(mounted, 'picked:mine2').kind).toBe('memory');
    expect(rootHolding({ ...mounted, at: 'other', rest: mounted }, 'picked:mine/config.json').kind).toBe('blobs');
  });
});
