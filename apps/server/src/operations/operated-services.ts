import { hasStreams, type Reader, type Reset } from "@onsale/messaging/operations";
import type { Database } from "@onsale/postgres";
import { refusal } from "./errors.ts";

/** A service as operators reach it: its readers, and the tables in which they keep what they do. */
export interface OperatedService {
  readonly name: string;
  /** Its role may read every outbox, and write its own tables only. */
  readonly database: Database;
  readonly readers: readonly Reader[];
  /**
   * Where the topics of a source stood at a moment (RFC 3339; undefined: their beginning). Absent: it reads outboxes.
   * @throws {KafkaUnreachableError}
   */
  readonly topicPlaces?: (source: string, moment: string | undefined) => Promise<NonNullable<Reset["topics"]>>;
}

/** Where something of one reader is looked for. */
export interface OperatedReader {
  readonly service: OperatedService;
  readonly reader: Reader;
}

/** The services of one server, found by the names of their readers. */
export class OperatedServices {
  readonly all: readonly OperatedService[];
  readonly #byReader: ReadonlyMap<string, OperatedReader>;

  constructor(services: readonly OperatedService[]) {
    this.all = services;
    this.#byReader = new Map(
      services.flatMap((service) => service.readers.map((reader) => [reader.name, { service, reader }] as const)),
    );
  }

  /** @throws {ProblemError} 404 when no service of this server reads under that name. */
  ofReader(name: string): OperatedReader {
    const found = this.#byReader.get(name);
    if (!found)
      throw refusal("READER_NOT_FOUND", `Nobody reads as ${name}. Readers: ${[...this.#byReader.keys()].join(", ")}.`);
    return found;
  }

  /**
   * The service in which a reader once read a source that nobody of this server hears under that name any more.
   * @throws {ProblemError} 409 when it is heard, 404 when it was never read.
   */
  async ofFormerReader(name: string, source: string): Promise<OperatedService> {
    const hears = [...(this.#byReader.get(name)?.reader.hears.values() ?? [])];
    if (hears.some((heard) => heard.source === source))
      throw refusal("READER_RUNS", `${name} hears what ${source} tells: take its consumers out of the program first.`);
    for (const service of this.all) if (await hasStreams(service.database, name, source)) return service;
    throw refusal("STREAM_NOT_FOUND", `Nothing is read as ${name}/${source}.`);
  }

  /** The services that a filter asks: the one of its reader, or all. */
  asked(reader: string | undefined): readonly OperatedService[] {
    return reader === undefined ? this.all : [this.ofReader(reader).service];
  }
}
