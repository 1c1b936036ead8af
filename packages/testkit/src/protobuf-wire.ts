/** A field of a protobuf message as it lies on the wire. */
export interface WireField {
  number: number;
  /** Varints and fixed numbers. */
  value?: bigint;
  /** Texts, bytes and messages. */
  bytes?: Buffer;
}

/** Reads the fields of one message; throws a RangeError when it is cut off. */
export function readFields(message: Buffer): WireField[] {
  const fields: WireField[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = tag >> 3;
    const type = tag & 7;
    if (type === 0) fields.push({ number, value: varint() });
    else if (type === 1) fields.push({ number, value: message.readBigUInt64LE((at += 8) - 8) });
    else if (type === 5) fields.push({ number, value: BigInt(message.readUInt32LE((at += 4) - 4)) });
    else {
      const length = Number(varint());
      fields.push({ number, bytes: message.subarray(at, at + length) });
      at += length;
    }
  }
  return fields;
}
