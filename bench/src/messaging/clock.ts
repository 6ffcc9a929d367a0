/** Milliseconds on a clock that all processes of a machine share, to the microsecond; never set back. Not a time of day. */
export const sharedClock = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
