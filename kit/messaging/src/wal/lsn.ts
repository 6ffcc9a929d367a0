/** A place in the write-ahead log, 64 bits. As text (`16/B374D848`) it does not sort: "9/0" is before "10/0". */
export type Lsn = bigint;

/** `X/Y`, two hexadecimal numbers, as PostgreSQL writes it. */
export function parseLsn(text: string): Lsn {
  const [high, low, ...rest] = text.split("/");
  if (!high || !low || rest.length > 0) throw new RangeError(`${text} is not a place in the write-ahead log.`);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export const formatLsn = (lsn: Lsn): string =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
