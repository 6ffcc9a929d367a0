/** A clock that stands until a test moves it. */
export interface TestClock {
  /** RFC 3339, UTC, milliseconds. */
  now(): string;
  /** Moves it on by milliseconds, or back when negative. */
  advance(milliseconds: number): void;
}

export function testClock(start = "2026-11-21T08:00:00.000Z"): TestClock {
  let nowMs = Date.parse(start);
  return {
    now: () => new Date(nowMs).toISOString(),
    advance(milliseconds) {
      nowMs += milliseconds;
    },
  };
}
