import { crc32 } from "node:zlib";

/** The slot of a key, of `slots`: the same as the database's `slot_of`, and the same for ever. */
export const slotOf = (key: string, slots: number): number => crc32(key) % slots;
