// parquetThrift.ts: whether bytes are a well-formed struct of Thrift's compact protocol, in which parquet writes its footer and
// page headers. It reads no values: the library does, and trusts every length that it meets, so this goes first and bounds them.
// Source: Apache Thrift, "Thrift Compact protocol encoding" (doc/specs/thrift-compact-protocol.md).

/** Types by their number in a field's or list's header. Parquet uses neither maps nor sets. */
const TYPES = {
  true: 1,
  false: 2,
  byte: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  struct: 12,
} as const;
/** Parquet's own structs nest less than ten deep. */
const MAX_DEPTH = 32;
/** Seven bits a byte: enough for 64 bits. */
const MAX_VARINT_BYTES = 10;

/**
 * Where the struct that begins at `start` ends, in bytes [start, end). Time is linear in its length.
 * @throws Error where it breaks off, nests too deep, or holds a length beyond its own end, a longer number, or another type.
 */
export function thriftStructEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;

  const byte = (): number => {
    if (at >= end) throw new Error('a header breaks off');
    return bytes[at++]!;
  };
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const next = byte();
      value += (next & 0x7f) * 2 ** (7 * i);
      if (next < 0x80) return value;
    }
    throw new Error('a number in a header is longer than 64 bits');
  };
  /** A count of things that take a byte each at least. */
  const countWithin = (count: number): number => {
    if (count > end - at) throw new Error(`a header counts ${count} where ${end - at} bytes are left`);
    return count;
  };
  const skip = (count: number): void => {
    at += countWithin(count);
  };
  const value = (type: number, depth: number): void => {
    switch (type) {
      case TYPES.byte:
        byte();
        return;
      case TYPES.i16:
      case TYPES.i32:
      case TYPES.i64:
        varint();
        return;
      case TYPES.double:
        skip(8);
        return;
      case TYPES.binary:
        skip(varint());
        return;
      case TYPES.list: {
        const head = byte();
        const [count, element] = [countWithin(head >> 4 === 15 ? varint() : head >> 4), head & 15];
        for (let i = 0; i < count; i++) {
          // Alone among values, booleans take a byte in a list and none as a field.
          if (element === TYPES.true || element === TYPES.false) byte();
          else value(element, depth);
        }
        return;
      }
      case TYPES.struct:
        struct(depth + 1);
        return;
      default:
        throw new Error(`a header holds a value of type ${type}, which parquet does not use`);
    }
  };
  const struct = (depth: number): void => {
    if (depth > MAX_DEPTH) throw new Error('a header nests too deep');
    for (;;) {
      const head = byte();
      if (head === 0) return;
      if (head >> 4 === 0) varint(); // the field's number, where it is not near the one before
      const type = head & 15;
      if (type !== TYPES.true && type !== TYPES.false) value(type, depth);
    }
  };

  struct(0);
  return at;
}
