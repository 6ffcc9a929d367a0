import { type AccountsPorts, accounts, type OperatorLogIn } from "@onsale/accounts";
import { catalog } from "@onsale/catalog";
import { eventsByOwner } from "@onsale/contracts/events";
import type { TokenSigner } from "@onsale/http";
import { inventory } from "@onsale/inventory";
import { StockGate } from "@onsale/inventory/gate";
import { fewestLocations } from "@onsale/inventory/ports";
import type { BasePorts, EventDefinition } from "@onsale/messaging";
import { notifications, type Senders } from "@onsale/notifications";
import { patientDelivery } from "@onsale/notifications/ports";
import { chatSender, type MailOptions, mailSender, type PushOptions, pushSender } from "@onsale/notifications/senders";
import { orders, type SagaStyle } from "@onsale/orders";
import type { StepTimeoutsMs } from "@onsale/orders/ports";
import { type PaymentsPorts, payments } from "@onsale/payments";
import { createCardProvider } from "@onsale/payments/card-provider";
import {
  type AnomalyRule,
  type AskingAgain,
  defaultAnomalyRule,
  type NamedProvider,
  patientAsking,
} from "@onsale/payments/ports";
import { openRedis } from "@onsale/redis";
import { ids, type ServiceDefinition } from "@onsale/runtime";
import { wallet } from "@onsale/wallet";
import { type FeedBounds, type HostedService, host } from "./hosted-service.ts";
import { fileResetMail, sentResetMail } from "./reset-mail.ts";

/** What the services are given from outside: addresses and secrets of others, and ours. */
export interface Wiring {
  /** Where this server is reached by the payment provider's webhooks. */
  readonly url: string;
  readonly tokens: TokenSigner;
  /** What accounts keys its counts and signs its links with: at least 32 random bytes as text, the same in every process. */
  readonly secret: string;
  readonly operator: OperatorLogIn;
  /** Who leads the steps of orders. Default: the orders service does. */
  readonly saga?: SagaStyle;
  /** The card providers; new payments go to the first until it fails. */
  readonly providers: readonly ProviderWiring[];
  /** When a provider is asked again about what nobody knows. Default: after minutes. */
  readonly asking?: AskingAgain;
  /** When new payments go to another provider. */
  readonly anomalies?: Partial<AnomalyRule>;
  /** A Redis for the gate in front of the intake, and what stands before every key there; absent: no gate. */
  readonly redis?: { readonly url: string; readonly prefix: string };
  /** Where the shop's pages for people are: links in mails begin with it. Default: `url`. */
  readonly shopUrl?: string;
  /** Where links for a new password are written when there is no mail; absent, too: nobody is sent one. */
  readonly mailFile?: string;
  /** Where messages to people go. Default: nowhere; they stay in their table. */
  readonly messages?: MessageChannels;
  /** Bounds of an order's waits that differ from its saga's own. */
  readonly stepTimeoutsMs?: StepTimeoutsMs;
  /** Bounds of all consumers that differ from the kit's. */
  readonly feedBounds?: FeedBounds;
  /** Looks at each service before it is hosted, and may put something around its consumers and routes. */
  readonly arrange?: Arrange;
}

export type Arrange = <Ports extends BasePorts>(service: ServiceDefinition<Ports>) => ServiceDefinition<Ports>;

/** The ways out of the house for messages. One that is absent does not exist. */
export interface MessageChannels {
  /** Incoming webhook of the shop's own chat. */
  readonly chat?: { readonly url: string };
  readonly mail?: Pick<MailOptions, "url" | "from">;
  readonly push?: Pick<PushOptions, "url" | "secret">;
}

export interface ProviderWiring {
  /** Stored with every payment: it never changes. */
  readonly name: string;
  readonly url: string;
  readonly apiSecret: string;
  readonly webhookSecret: string;
}

/** The services of one server, and what they share that has to be let go in the end. */
export interface Composition {
  readonly services: readonly HostedService[];
  close(): Promise<void>;
}

/** Every service of the shop with its ports: the one place that knows all of them. */
export function compose(wiring: Wiring): Composition {
  const { url, tokens, secret, operator, messages = {}, asking = patientAsking, anomalies = {} } = wiring;
  const { saga = "orchestrated" } = wiring;
  const providers = wiring.providers.map((provider) => namedProvider(provider, url));
  const senders = sendersOf(messages);
  const unsubscribing = { secret, url: wiring.shopUrl ?? url };
  const { stepTimeoutsMs, feedBounds = {}, arrange = asItIs } = wiring;
  const arranged = <Ports extends BasePorts>(service: ServiceDefinition<Ports>, ports: Ports): HostedService =>
    host(arrange(inStyle(service, saga)), ports, ownerOf, feedBounds);
  const gate = wiring.redis && openGate(wiring.redis);
  const withGate = gate ? { gate: gate.stock } : {};
  const paymentsPorts: PaymentsPorts = {
    ...base,
    providers,
    askingAgain: asking,
    anomalies: { ...defaultAnomalyRule, ...anomalies },
  };
  return {
    services: [
      arranged(accounts, { ...base, tokens, secret, operator, ...resetMailOf(wiring, senders) }),
      arranged(catalog, base),
      arranged(inventory, { ...base, ...withGate, saga, chooseLocations: fewestLocations }),
      arranged(orders, { ...base, ...withGate, saga, ...(stepTimeoutsMs && { stepTimeoutsMs }) }),
      arranged(payments, paymentsPorts),
      arranged(wallet, base),
      arranged(notifications, { ...base, senders, delivery: patientDelivery, unsubscribing }),
    ],
    async close() {
      await Promise.all(providers.map(({ card }) => card.close()));
      await Promise.all(Object.values(senders).map((sender) => sender.close?.()));
      await gate?.close();
    },
  };
}

// A request at the gate waits no longer for Redis; then it goes through.
const gateAnswerMs = 100;

function openGate({ url, prefix }: NonNullable<Wiring["redis"]>) {
  const redis = openRedis({ url, prefix, answerMs: gateAnswerMs, applicationName: "onsale gate" });
  return { stock: new StockGate(redis), close: () => redis.close() };
}

function namedProvider({ name, url, apiSecret, webhookSecret }: ProviderWiring, ours: string): NamedProvider {
  const webhookUrl = `${ours}/v1/webhooks/card-providers/${name}`;
  return { name, card: createCardProvider({ name, url, apiSecret, webhookUrl }), webhookSecrets: [webhookSecret] };
}

const sendersOf = ({ chat, mail, push }: MessageChannels): Senders => ({
  ...(chat && { chat: chatSender(chat) }),
  ...(mail && { mail: mailSender(mail) }),
  ...(push && { push: pushSender({ ...push, now: Date.now }) }),
});

/** By mail where there is a mail server, else into the file. */
function resetMailOf({ url, shopUrl = url, mailFile }: Wiring, { mail }: Senders): Pick<AccountsPorts, "resetMail"> {
  if (mail) return { resetMail: sentResetMail(mail, shopUrl) };
  return mailFile === undefined ? {} : { resetMail: fileResetMail({ path: mailFile, shopUrl }) };
}

const asItIs: Arrange = (service) => service;

const inStyle = <Ports extends BasePorts>(service: ServiceDefinition<Ports>, saga: SagaStyle) =>
  saga === "orchestrated" ? service : { ...service, consumers: service.choreographed };

const base: BasePorts = { ids, clock: { now: () => new Date().toISOString() } };

const owners: ReadonlyMap<string, string> = new Map(
  Object.entries(eventsByOwner).flatMap(([owner, events]) => events.map(({ type }) => [type, owner] as const)),
);

/** The service that tells this type of event; its outbox is where consumers read it. */
function ownerOf({ type }: EventDefinition): string {
  const owner = owners.get(type);
  if (owner === undefined) throw new Error(`No service owns ${type}: it is missing in contracts/events.ts.`);
  return owner;
}
