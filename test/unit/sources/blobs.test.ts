// Files that a person picked or dropped, as a root: lazily sliced; one that has changed since gives words, not bytes.
import { describe, expect, it } from 'vitest';
import { readDropped, type DroppedItem } from '../../../src/app/droppedFiles';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { patterned } from '../../support/patterned';

describe('blobs root', () => {
  const files = { 'a/config.json': new Blob(['{}']), 'a/w.safetensors': new Blob([patterned(1000)]) };
  it('reads slices, knows what is not there, and survives a structured clone', async () => {
    const root = openFileRoot(structuredClone({ kind: 'blobs' as const, files }));
    expect(await root.readText('a/./config.json')).toBe('{}');
    const file = (await root.open('a/w.safetensors'))!;
    expect(file.size).toBe(1000);
    expect(await file.read(10, 500)).toEqual(patterned(1000).slice(10, 500));
    expect(await root.open('a')).toBeUndefined();
    expect(await root.open('toString')).toBeUndefined();
    await expect(root.write('x', new Uint8Array(1))).rejects.toMatchObject({ code: 'usage' });
  });
  it('reads only what is asked for, above 2 GiB as well', async () => {
    const asked: [number, number][] = [];
    const huge = {
      size: 5 * 2 ** 30,
      slice: (start: number, end: number) => {
        asked.push([start, end]);
        return new Blob([new Uint8Array(end - start)]);
      },
    } as unknown as Blob;
    const file = (await openFileRoot({ kind: 'blobs', files: { huge } }).open('huge'))!;
    expect((await file.read(4 * 2 ** 30, 4 * 2 ** 30 + 8)).byteLength).toBe(8);
    expect(asked).toEqual([[4 * 2 ** 30, 4 * 2 ** 30 + 8]]);
  });
  it('a file that was changed or deleted after it was picked', async () => {
    const gone = {
      size: 100,
      slice: () => ({ arrayBuffer: () => Promise.reject(new DOMException('gone', 'NotReadableError')) }),
    } as unknown as Blob;
    const short = { size: 100, slice: () => new Blob(['abc']) } as unknown as Blob;
    const root = openFileRoot({ kind: 'blobs', files: { gone, short } });
    for (const name of ['gone', 'short']) {
      await expect((await root.open(name))!.read(0, 10)).rejects.toMatchObject({
        code: 'source',
        message: expect.stringContaining(`${name}: expected the file as it was when it was picked`) as string,
      });
    }
  });
});

describe('dropped files', () => {
  type Tree = { [name: string]: Tree | string };
  const entryOf = (name: string, node: Tree | string): FileSystemEntry => {
    if (typeof node === 'string') {
      const file = (done: (file: File) => void, fail: (error: DOMException) => void): void =>
        node === 'unreadable' ? fail(new DOMException('', 'NotFoundError')) : done(new File([node], name));
      return { name, isFile: true, isDirectory: false, file } as unknown as FileSystemEntry;
    }
    const createReader = (): unknown => {
      const left = Object.entries(node).map(([child, value]) => entryOf(child, value));
      // A browser hands over a part at a time, and then none.
      return { readEntries: (done: (entries: FileSystemEntry[]) => void) => done(left.splice(0, 2)) };
    };
    return { name, isFile: false, isDirectory: true, createReader } as unknown as FileSystemEntry;
  };
  const item = (name: string, node: Tree | string): DroppedItem => ({
    kind: 'file',
    webkitGetAsEntry: () => entryOf(name, node),
    getAsFile: () => null,
  });
  const texts = async (items: DroppedItem[]): Promise<Record<string, string>> => {
    const found = await readDropped(items);
    return Object.fromEntries(
      await Promise.all(found.map(async ({ path, blob }) => [path, await blob.text()] as const)),
    );
  };

  it('one folder: the paths within it, all of them', async () => {
    expect(await texts([item('model', { a: '1', b: '2', c: '3', d: { e: '4', f: { g: '5' } } })])).toEqual({
      a: '1',
      b: '2',
      c: '3',
      'd/e': '4',
      'd/f/g': '5',
    });
  });
  it('several things: their own names come first; texts that were dragged along are no files', async () => {
    const text = { kind: 'string', webkitGetAsEntry: () => null, getAsFile: () => null };
    expect(await texts([item('x', { a: '1' }), item('y.json', '2'), text])).toEqual({ 'x/a': '1', 'y.json': '2' });
  });
  it('a browser without entries still gives files', async () => {
    const plain = { kind: 'file', webkitGetAsEntry: () => null, getAsFile: () => new File(['1'], 'a.txt') };
    expect(await texts([plain])).toEqual({ 'a.txt': '1' });
  });
  it('what cannot be read is named', async () => {
    await expect(readDropped([item('model', { bad: 'unreadable' })])).rejects.toMatchObject({
      code: 'source',
      message: expect.stringContaining('bad: expected a file or folder that can be read') as string,
    });
  });
});
