/**
 * Kafka's request Fetch (https://kafka.apache.org/protocol.html#The_Messages_Fetch), whose answer gives records as the bytes
 * that came: see `received-batch.ts`.
 */

import { type Connection, fetchV16, type Reader, ResponseError } from "@platformatic/kafka";
import type { AbortedTransaction } from "./committed-batches.ts";
import type { Position } from "./positions.ts";

const fetch = { key: 1, version: 16 } as const;
/** Only what no transaction may take back any more. */
const readCommitted = 1;
/** Of no rack: the leader answers. */
const noRack = "";

/** A partition and the place that is asked for. */
export interface WantedPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly position: Position;
}

export interface FetchBounds {
  /** How long the broker waits for something new, in milliseconds. */
  readonly waitMs: number;
  readonly bytes: number;
  readonly bytesPerPartition: number;
}

/** What a broker gives of one partition. */
export interface PartitionAnswer {
  readonly topicId: string;
  readonly partition: number;
  /** Where the epoch that was asked with ends for the broker, when it ends before the place that was asked for. */
  readonly divergingEpoch?: { readonly epoch: number; readonly endOffset: number };
  readonly aborted: readonly AbortedTransaction[];
  readonly records: Buffer;
}

export interface FetchAnswer {
  readonly sessionId: number;
  readonly partitions: readonly PartitionAnswer[];
}

/** Which partitions a broker remembers of one fetcher, so that a request names only what is different (KIP-227). */
export interface SessionStep {
  readonly id: number;
  readonly epoch: number;
  readonly changed: readonly WantedPartition[];
  readonly forgotten: readonly Omit<WantedPartition, "position">[];
}

/** @throws {ResponseError} when any of the partitions is refused. */
export const requestFetch = (connection: Connection, step: SessionStep, bounds: FetchBounds): Promise<FetchAnswer> =>
  new Promise((resolve, reject) => {
    connection.send<FetchAnswer>(
      fetch.key,
      fetch.version,
      () => requestOf(step, bounds),
      answerIn,
      true,
      true,
      (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
    );
  });

function requestOf({ id, epoch, changed, forgotten }: SessionStep, { waitMs, bytes, bytesPerPartition }: FetchBounds) {
  const topics = [...Map.groupBy(changed, ({ topicId }) => topicId)].map(([topicId, partitions]) => ({
    topicId,
    partitions: partitions.map(({ partition, position }) => ({
      partition,
      fetchOffset: BigInt(position.offset),
      // With it the broker itself compares what was read with what it has, at every fetch.
      lastFetchedEpoch: position.epoch,
      currentLeaderEpoch: -1,
      partitionMaxBytes: bytesPerPartition,
    })),
  }));
  const left = [...Map.groupBy(forgotten, ({ topicId }) => topicId)].map(([topicId, partitions]) => ({
    topicId,
    partitions: partitions.map(({ partition }) => partition),
  }));
  return fetchV16.createRequest(waitMs, 1, bytes, readCommitted, id, epoch, topics, left as never, noRack);
}

function answerIn(_correlationId: number, apiKey: number, apiVersion: number, reader: Reader): FetchAnswer {
  const faults: Record<string, [number, null]> = {};
  reader.readInt32(); // for how long it throttles us: it does so itself
  const errorCode = reader.readInt16();
  if (errorCode !== 0) faults[""] = [errorCode, null];
  const sessionId = reader.readInt32();
  const partitions: PartitionAnswer[] = [];
  for (let topics = reader.readUnsignedVarInt(); topics > 1; topics--) {
    const topicId = reader.readUUID();
    for (let count = reader.readUnsignedVarInt(); count > 1; count--) {
      const { fault, ...answer } = partitionIn(reader, topicId);
      if (fault !== 0) faults[`/${topicId}/${answer.partition}`] = [fault, null];
      partitions.push(answer);
    }
    skipTagged(reader);
  }
  const answer = { sessionId, partitions };
  if (Object.keys(faults).length > 0) throw new ResponseError(apiKey, apiVersion, faults, answer);
  return answer;
}

function partitionIn(reader: Reader, topicId: string): PartitionAnswer & { readonly fault: number } {
  const partition = reader.readInt32();
  const fault = reader.readInt16();
  reader.skip(3 * 8); // where the broker's own log begins and ends, for replicas
  const aborted = reader.readNullableArray((it) => ({
    producerId: it.readInt64(),
    firstOffset: Number(it.readInt64()),
  }));
  reader.skip(4); // another replica, for those that have a rack
  const length = Math.max(0, reader.readUnsignedVarInt() - 1);
  const records = reader.buffer.slice(reader.position, reader.position + length);
  reader.skip(length);
  const divergingEpoch = divergingEpochIn(reader);
  return { topicId, partition, fault, aborted: aborted ?? [], records, ...(divergingEpoch && { divergingEpoch }) };
}

const divergingEpochTag = 0;

/** The first of the tagged fields, all of which it passes. */
function divergingEpochIn(reader: Reader): PartitionAnswer["divergingEpoch"] {
  let found: PartitionAnswer["divergingEpoch"];
  for (let count = reader.readUnsignedVarInt(); count > 0; count--) {
    const tag = reader.readUnsignedVarInt();
    const end = reader.readUnsignedVarInt() + reader.position;
    if (tag === divergingEpochTag) found = { epoch: reader.readInt32(), endOffset: Number(reader.readInt64()) };
    reader.position = end;
  }
  return found;
}

function skipTagged(reader: Reader): void {
  for (let count = reader.readUnsignedVarInt(); count > 0; count--) {
    reader.readUnsignedVarInt();
    reader.skip(reader.readUnsignedVarInt());
  }
}
