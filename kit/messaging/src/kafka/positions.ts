/** Places in a topic, and in which topic of which cluster they are. */

import type { Cursor } from "../log.ts";

/** A place in one partition. */
export interface Position {
  /** Of the record that comes next. */
  readonly offset: number;
  /**
   * The leader's epoch under which the record before it was written; -1 at the beginning. A broker that has lost that
   * record knows an earlier end of this epoch, however much was written since (KIP-101, KIP-320).
   */
  readonly epoch: number;
}

/** By the partition's number. JSON. */
export type Positions = Readonly<Record<string, Position>>;

/** Places in the partitions of one topic. Names are given again; the ids say whether it still is the same topic. */
export interface TopicPositions {
  readonly cluster: string;
  readonly topic: string;
  readonly at: Positions;
}

/** How far a reader of a topic has come; empty before it first met the topic. */
export type KafkaCursor = Cursor & Partial<TopicPositions>;

export const partitionBegin: Position = { offset: 0, epoch: -1 };

export const positionIn = (at: Positions | undefined, partition: number): Position => at?.[partition] ?? partitionBegin;

/** The partitions of a topic that belong to one slot: partition p to slot p modulo the slots. */
export const isOwn = (partition: number, { slot, slots }: { slot: number; slots: number }): boolean =>
  partition % slots === slot;

/** Those of the places that are in partitions of one slot. */
export const ownPlaces = (
  places: TopicPositions | undefined,
  part: { slot: number; slots: number },
): TopicPositions | undefined =>
  places && {
    ...places,
    at: Object.fromEntries(Object.entries(places.at).filter(([partition]) => isOwn(Number(partition), part))),
  };
