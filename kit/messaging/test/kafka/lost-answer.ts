import { type Connection, NetworkError, type Producer } from "@platformatic/kafka";

type Client = Producer<string, string, string, string>;

/** One request of the client, counted from 1, reaches the broker and is carried out, and its answer is lost. Gives all requests. */
export function losesAnswer(client: Client, lostRequest: number): unknown[] {
  const requests: unknown[] = [];
  const connect = client.connectToBrokers.bind(client);
  const tapped = new WeakSet<Connection>();
  client.connectToBrokers = (async (nodes: number[]) => {
    const connections = await connect(nodes);
    for (const connection of connections.values()) if (!tapped.has(connection)) tap(connection);
    return connections;
  }) as Client["connectToBrokers"];
  return requests;

  function tap(connection: Connection) {
    tapped.add(connection);
    const send = connection.send.bind(connection) as (...values: unknown[]) => boolean;
    connection.send = ((...values: unknown[]) => {
      const isLost = requests.push(values) === lostRequest;
      const answered = values.at(-1) as (error: Error | null, response?: unknown) => void;
      return send(...values.slice(0, -1), (error: Error | null, response: unknown) =>
        isLost ? answered(error ?? new NetworkError("Connection closed")) : answered(error, response),
      );
    }) as Connection["send"];
  }
}
