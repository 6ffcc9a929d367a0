import { expect, test } from "vitest";
import { type Lease, mayAskFor } from "../src/consumers/lease-share.ts";

const leasesOf = (holders: string): Lease[] => [...holders].map((holder, slot) => ({ slot, holder }));

test("a process with none asks for one of two, and leaves the last one", () => {
  expect(mayAskFor(0, leasesOf("aa"), "b")).toBe(true);
  expect(mayAskFor(1, leasesOf("ba"), "c")).toBe(false);
  expect(mayAskFor(1, leasesOf("ba"), "b")).toBe(false);
});

test("asked is who has the most; a lease that nobody has is taken, not asked for", () => {
  const leases = leasesOf("aaabb");
  expect(leases.map(({ slot }) => mayAskFor(slot, leases, "c"))).toEqual([true, true, true, false, false]);
  expect(mayAskFor(7, leases, "c")).toBe(false);
});

/** Numbers below `bound`, the same in every run of a seed. */
function chance(seed: number): (bound: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

test("whoever asks in whatever order: shares come to differ by one at most, and then nobody asks any more", () => {
  let moves = 0;
  for (let seed = 1; seed <= 500; seed++) {
    const random = chance(seed);
    const processes = [..."abcdef"].slice(0, 1 + random(6));
    const leases = Array.from({ length: 1 + random(12) }, (_, slot) => {
      return { slot, holder: processes[random(processes.length)] ?? "a" };
    });
    for (let turn = 0; turn < 1_000; turn++) {
      const lease = leases[random(leases.length)];
      const asker = processes[random(processes.length)];
      if (!lease || !asker || !mayAskFor(lease.slot, leases, asker)) continue;
      lease.holder = asker;
      moves++;
    }
    const shares = processes.map((process) => leases.filter(({ holder }) => holder === process).length);
    expect(Math.max(...shares) - Math.min(...shares), `shares of seed ${seed}`).toBeLessThanOrEqual(1);
    const asks = leases.filter(({ slot }) => processes.some((process) => mayAskFor(slot, leases, process)));
    expect(asks, `asked for with seed ${seed}`).toEqual([]);
  }
  expect(moves).toBeGreaterThan(500);
});
