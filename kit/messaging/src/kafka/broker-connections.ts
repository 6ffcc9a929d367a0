import type { Base, Connection } from "@platformatic/kafka";

/** The connections of one client, by the node that they lead to, for requests that the client has no call for. */
export class BrokerConnections {
  readonly #client: Pick<Base, "connectToBrokers">;
  readonly #connections = new Map<number, Connection>();

  constructor(client: Pick<Base, "connectToBrokers">) {
    this.#client = client;
  }

  async to(node: number): Promise<Connection> {
    const known = this.#connections.get(node);
    if (known?.isConnected()) return known;
    const connection = (await this.#client.connectToBrokers([node])).get(node);
    if (!connection) throw new Error(`Kafka's node ${node} can't be reached.`);
    this.#connections.set(node, connection);
    return connection;
  }
}
