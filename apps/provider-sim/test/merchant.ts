import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { Agent, request } from "undici";
import {
  ensureSecrets,
  type LedgerEnd,
  type LedgerLine,
  type LedgerPayment,
  type ProviderSecrets,
  type RunningProvider,
  type StartProviderOptions,
  startProvider,
  type WebhookBody,
  type WebhookEvent,
} from "../src/index.ts";

export interface Reply {
  readonly status: number;
  // The tests compare with what they expect; a shape of its own would only repeat that.
  readonly body: { readonly [field: string]: unknown };
}

/** A merchant with a provider of its own, in a folder of its own. */
export class Merchant implements AsyncDisposable {
  readonly directory: string;
  readonly secrets: ProviderSecrets;
  provider: RunningProvider;
  readonly #options: Partial<StartProviderOptions>;
  readonly #agent = new Agent({ connections: 64 });

  private constructor(
    directory: string,
    secrets: ProviderSecrets,
    provider: RunningProvider,
    options: Partial<StartProviderOptions>,
  ) {
    this.directory = directory;
    this.secrets = secrets;
    this.provider = provider;
    this.#options = options;
  }

  static async open(options: Partial<StartProviderOptions> = {}): Promise<Merchant> {
    const directory = await mkdtemp(join(tmpdir(), "onsale-provider-"));
    const secrets = await ensureSecrets(join(directory, "secrets.json"));
    const provider = await startProvider({ ...places(directory), latencyMs: 0, ...options });
    return new Merchant(directory, secrets, provider, options);
  }

  /** Kills the provider, and starts it again on the same books. */
  async killAndRestart(): Promise<void> {
    process.kill(this.provider.pid, "SIGKILL");
    await this.provider.ended;
    await this.start();
  }

  async start(options: Partial<StartProviderOptions> = {}): Promise<void> {
    this.provider = await startProvider({ ...places(this.directory), latencyMs: 0, ...this.#options, ...options });
  }

  /** Throws when the connection is cut. */
  async call(
    method: "GET" | "POST" | "PUT",
    path: string,
    { key, body, secret }: { key?: string; body?: object; secret?: string } = {},
  ): Promise<Reply> {
    const answer = await request(`${this.provider.url}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: {
        authorization: `Bearer ${secret ?? this.secrets.apiSecret}`,
        ...(key !== undefined && { "idempotency-key": key }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Reply["body"] };
  }

  authorise(key: string, change: object = {}): Promise<Reply> {
    const body = { amountMinor: 1000, currency: "GBP", reference: `order-of-${key}`, card: "buyer:1", ...change };
    return this.call("POST", "/v1/payments", { key, body });
  }

  async ledger(): Promise<LedgerPayment[]> {
    const { body } = await request(`${this.provider.url}/v1/ledger`, {
      headers: { authorization: `Bearer ${this.secrets.apiSecret}` },
    });
    const lines = (await body.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as LedgerLine);
    const payments = lines.filter((line) => line.type === "payment");
    const end = lines.at(-1) as LedgerEnd;
    if (end.type !== "end" || end.payments !== payments.length) throw new Error("The ledger was cut short.");
    return payments;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.provider.stop();
    await this.#agent.destroy();
    await rm(this.directory, { recursive: true, force: true });
  }
}

const places = (directory: string) => ({
  directory: join(directory, "books"),
  secretFile: join(directory, "secrets.json"),
});

/** Where a merchant's webhooks arrive. It believes only what is signed. */
export class Doormat implements AsyncDisposable {
  readonly url: string;
  readonly events: WebhookEvent[] = [];
  /** What each request is answered; 200 when there is nothing more. */
  readonly answers: number[] = [];
  /** The ids of the messages in the order in which they came, accepted or not. */
  readonly messages: string[] = [];
  readonly #server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  static async open(secret: () => string): Promise<Doormat> {
    const server = createServer(async (incoming, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      new Webhook(secret()).verify(body, incoming.headers as Record<string, string>);
      mat.messages.push(String(incoming.headers["webhook-id"]));
      const status = mat.answers.shift() ?? 200;
      if (status === 200) mat.events.push(...(JSON.parse(body.toString()) as WebhookBody).events);
      response.writeHead(status).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const mat = new Doormat(server);
    return mat;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
