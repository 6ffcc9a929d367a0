import type { SessionStep, WantedPartition } from "./fetch-request.ts";
import type { Position } from "./positions.ts";

/** Epochs of a session begin anew behind the largest number of 31 bits. */
const largestEpoch = 2 ** 31 - 1;

/**
 * What a broker remembers of one fetcher's partitions (KIP-227): of dozens of partitions a request names those whose place
 * has changed, and an answer those that have something new. Whatever fails, the next request begins another session.
 */
export class FetchSession {
  #id = 0;
  #epoch = 0;
  #asked = new Map<string, { readonly wanted: WantedPartition; readonly position: Position }>();

  /** What to ask so that exactly these partitions are meant. */
  step(wanted: readonly WantedPartition[]): SessionStep {
    const asked = new Map(wanted.map((it) => [nameOf(it), { wanted: it, position: it.position }]));
    const changed = wanted.filter((it) => !isSame(this.#asked.get(nameOf(it))?.position, it.position));
    const forgotten = [...this.#asked].filter(([name]) => !asked.has(name)).map(([, { wanted: it }]) => it);
    this.#asked = asked;
    return { id: this.#id, epoch: this.#epoch, changed, forgotten };
  }

  /** The broker answered a step. `id` 0: it remembers nothing. */
  answered(id: number): void {
    if (id === 0) this.forget();
    else [this.#id, this.#epoch] = [id, this.#epoch === largestEpoch ? 1 : this.#epoch + 1];
  }

  forget(): void {
    this.#id = 0;
    this.#epoch = 0;
    this.#asked = new Map();
  }
}

const nameOf = ({ topicId, partition }: WantedPartition): string => `${topicId}/${partition}`;

const isSame = (one: Position | undefined, other: Position): boolean =>
  one?.offset === other.offset && one.epoch === other.epoch;
