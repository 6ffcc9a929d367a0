import { v7 } from "uuid";

/**
 * UUIDv7: its first 48 bits are the millisecond, so rows inserted together lie together in the index. Within one process
 * each is greater than the one before.
 */
export const ids: { uuid(): string } = { uuid: () => v7() };
