import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";

/** One topic of one partition, written and read as simply as can be. */
export class Topic implements AsyncDisposable {
  readonly #bootstrap: string;
  readonly #name: string;
  readonly #producer: Producer<string, string, string, string>;

  constructor(bootstrap: string, name: string) {
    this.#bootstrap = bootstrap;
    this.#name = name;
    this.#producer = new Producer({
      ...{ clientId: "test", bootstrapBrokers: [bootstrap], serializers: stringSerializers },
      ...{ requestTimeout: 1_000, retries: 1, retryDelay: 50 },
    });
  }

  async make(): Promise<void> {
    const admin = new Admin({ clientId: "test", bootstrapBrokers: [this.#bootstrap] });
    try {
      await admin.createTopics({ topics: [this.#name], partitions: 1, replicas: 1 });
    } finally {
      await admin.close();
    }
  }

  async write(...values: readonly string[]): Promise<void> {
    const messages = values.map((value) => ({ topic: this.#name, key: "key", value }));
    await this.#producer.send({ messages, acks: -1 });
  }

  /** The first `count` values. */
  async read(count: number): Promise<string[]> {
    const consumer = new Consumer({
      ...{ clientId: "test", bootstrapBrokers: [this.#bootstrap], deserializers: stringDeserializers },
      ...{ groupId: `${this.#name}.reader` },
    });
    try {
      const stream = await consumer.consume({ topics: [this.#name], mode: "earliest", autocommit: false });
      const values: string[] = [];
      for await (const { value } of stream) if (values.push(value) === count) break;
      return values;
    } finally {
      await consumer.close(true);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close(true);
  }
}
