import { crc32 } from "node:zlib";

/** The slot of a key, or the partition that a relay puts it into (a text, or its UTF-8), of `slots`: the same as the database's `slot_of`, and the same for ever. */
export const slotOf = (key: string | Uint8Array, slots: number): number => crc32(key) % slots;
