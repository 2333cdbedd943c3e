// keyValue.ts: the part of localStorage that the page's state uses. Types only.

/** Tests hand in a plain object. */
export type KeyValue = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
