import { describe, expect, test } from "vitest";
import type { WantedPartition } from "../../src/kafka/fetch-request.ts";
import { FetchSession } from "../../src/kafka/fetch-session.ts";

const wanted = (partition: number, offset: number, epoch = 0): WantedPartition => ({
  ...{ topicId: "t", partition, position: { offset, epoch } },
});
const numbers = (partitions: readonly { readonly partition: number }[]) => partitions.map(({ partition }) => partition);

describe("what a broker remembers of a fetcher", () => {
  test("a first request names everything; the next names what has moved, come or gone", () => {
    const session = new FetchSession();
    const first = session.step([wanted(0, 5), wanted(1, 5)]);
    expect([first.id, first.epoch, numbers(first.changed)]).toEqual([0, 0, [0, 1]]);
    session.answered(77);
    const second = session.step([wanted(1, 5), wanted(2, 0)]);
    expect([second.id, second.epoch, numbers(second.changed), numbers(second.forgotten)]).toEqual([77, 1, [2], [0]]);
    session.answered(77);
    const third = session.step([wanted(1, 6), wanted(2, 0, 1)]);
    expect([third.epoch, numbers(third.changed), third.forgotten]).toEqual([2, [1, 2], []]);
  });

  test("after a failure, or for a broker that remembers nothing, everything is named again", () => {
    const session = new FetchSession();
    session.step([wanted(0, 5)]);
    session.answered(0);
    expect(session.step([wanted(0, 5)])).toMatchObject({ id: 0, epoch: 0, changed: [{ partition: 0 }] });
    session.answered(77);
    session.forget();
    expect(session.step([wanted(0, 5)])).toMatchObject({ id: 0, epoch: 0, changed: [{ partition: 0 }], forgotten: [] });
  });
});
