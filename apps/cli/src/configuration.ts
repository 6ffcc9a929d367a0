import { defaultAnomalyRule, eagerAsking, patientAsking } from "@onsale/payments/ports";
import {
  type ConfigurationOf,
  logLevels,
  optionalSetting,
  readConfiguration,
  type Setting,
  setting,
} from "@onsale/runtime";
import { Type } from "typebox";

const port = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const address = `[^\\s:,/@]+:${port}`;

/** Everything that an operator can set from outside. Unknown ONSALE_ names are refused, so this list is complete. */
export const specification = {
  data: optionalSetting("ONSALE_DATA", Type.String({ minLength: 1 }), {
    about: "Folder of the embedded data. Default: .onsale/data under the checkout.",
  }),
  databaseUrl: optionalSetting(
    "ONSALE_DATABASE_URL",
    Type.String({
      pattern: "^postgres(ql)?://.+",
      description: "a URL like postgres://user:password@host:5432/database",
    }),
    {
      about: "An administrator's URL of an existing PostgreSQL database, used instead of the embedded one.",
      secret: true,
    },
  ),
  kafka: optionalSetting(
    "ONSALE_KAFKA",
    Type.String({
      pattern: `^${address}(,${address})*$`,
      description: "host:port of a Kafka broker, or of several with commas between",
    }),
    {
      about:
        "A Kafka that all events go through. What was begun without it can't go on with it, nor the other way round.",
    },
  ),
  kafkaPrefix: setting(
    "ONSALE_KAFKA_PREFIX",
    Type.String({
      pattern: "^[a-zA-Z0-9._-]{1,100}$",
      description: "1 to 100 letters, digits, full stops, hyphens or underscores",
    }),
    { about: "Stands before the name of every topic and group on Kafka: two shops need two.", fallback: "onsale." },
  ),
  redis: optionalSetting(
    "ONSALE_REDIS",
    Type.String({ pattern: "^rediss?://.+", description: "a URL like redis://user:password@host:6379/0" }),
    {
      about: "A Redis for what pays in a shared fast store. Nothing is kept there that can't be rebuilt.",
      secret: true,
    },
  ),
  redisPrefix: setting(
    "ONSALE_REDIS_PREFIX",
    Type.String({
      pattern: "^[a-zA-Z0-9._:-]{1,100}$",
      description: "1 to 100 letters, digits, full stops, colons, hyphens or underscores",
    }),
    { about: "Stands before every key in Redis: two shops need two.", fallback: "onsale:" },
  ),
  saga: optionalSetting(
    "ONSALE_SAGA",
    Type.Enum(["orchestrated", "choreographed"], { description: "orchestrated or choreographed" }),
    {
      about:
        "Who leads an order's steps: the orders service (orchestrated), or nobody, each service going on by what its neighbours tell (choreographed). Data stays with what it was begun with. Default: that, or else orchestrated.",
    },
  ),
  operatorEmail: setting(
    "ONSALE_OPERATOR_EMAIL",
    Type.String({ pattern: "^[^@\\s]+@[^@\\s]+$", maxLength: 254, description: "an e-mail address" }),
    { about: "The operator's log-in.", fallback: "operator@onsale.example" },
  ),
  operatorPassword: optionalSetting(
    "ONSALE_OPERATOR_PASSWORD",
    Type.String({ minLength: 8, maxLength: 128, description: "8 to 128 characters long" }),
    { about: "The operator's password. Default: one that is made once and kept with the data.", secret: true },
  ),
  shopUrl: optionalSetting(
    "ONSALE_SHOP_URL",
    Type.String({ pattern: "^https?://[^\\s#?]+$", description: "an http or https URL" }),
    { about: "Where the shop's pages for people are: links in mails begin with it. Default: this server." },
  ),
  trustedProxies: optionalSetting(
    "ONSALE_TRUSTED_PROXIES",
    Type.String({
      pattern: "^[0-9a-fA-F.:]+(/\\d{1,3})?(,[0-9a-fA-F.:]+(/\\d{1,3})?)*$",
      description: "addresses or networks like 10.0.0.0/8, with commas between",
    }),
    {
      about:
        "Proxies in front of the server, which say in X-Forwarded-For whom they serve: wrong passwords are counted by it.",
    },
  ),
  chatUrl: optionalSetting(
    "ONSALE_CHAT_URL",
    Type.String({ pattern: "^https?://.+", description: "an http or https URL" }),
    { about: "Incoming webhook, in Slack's shape, that is told of confirmed orders.", secret: true },
  ),
  paymentsAsking: setting(
    "ONSALE_PAYMENTS_ASKING",
    Type.Enum(["eager", "patient"], { description: "eager or patient" }),
    {
      about:
        "When a card provider is asked again about what nobody knows: after seconds, for demonstrations and drills, or after 5 minutes, for production.",
      fallback: "eager",
    },
  ),
  failoverFailures: setting("ONSALE_FAILOVER_FAILURES", Type.Integer({ minimum: 1, maximum: 1_000_000 }), {
    about: "More calls without an answer than this within the window, and new payments go to the other card provider.",
    fallback: defaultAnomalyRule.failures,
  }),
  failoverWithinMs: setting("ONSALE_FAILOVER_WITHIN_MS", Type.Integer({ minimum: 1_000, maximum: 3_600_000 }), {
    about: "That window, in milliseconds.",
    fallback: defaultAnomalyRule.withinMs,
  }),
  failoverPendingMs: setting("ONSALE_FAILOVER_PENDING_MS", Type.Integer({ minimum: 1_000, maximum: 86_400_000 }), {
    about: "An authorisation that is unknown for longer than this, in milliseconds, has the same effect.",
    fallback: defaultAnomalyRule.pendingMs,
  }),
  smtpUrl: optionalSetting(
    "ONSALE_SMTP_URL",
    Type.String({ pattern: "^smtps?://.+", description: "a URL like smtp://user:password@host:587" }),
    { about: "Mail server that sends the shop's mail. Without it the shop sends none.", secret: true },
  ),
  mailFrom: setting(
    "ONSALE_MAIL_FROM",
    Type.String({ pattern: "^[^\\r\\n]*@[a-zA-Z0-9.-]+>?$", maxLength: 320, description: "an e-mail address" }),
    { about: "The sender of the shop's mail.", fallback: "Onsale <shop@onsale.example>" },
  ),
  pushUrl: optionalSetting(
    "ONSALE_PUSH_URL",
    Type.String({ pattern: "^https?://.+", description: "an http or https URL" }),
    { about: "Gateway that push messages are posted to. Without it the shop sends none." },
  ),
  pushSecret: optionalSetting(
    "ONSALE_PUSH_SECRET",
    Type.String({ pattern: "^whsec_[A-Za-z0-9+/]{32,}={0,2}$", description: "whsec_ and at least 24 bytes as base64" }),
    { about: "What push messages are signed with (Standard Webhooks). Needed with ONSALE_PUSH_URL.", secret: true },
  ),
  logLevel: setting("ONSALE_LOG_LEVEL", Type.Enum([...logLevels], { description: `one of ${logLevels.join(", ")}` }), {
    about: "How much is logged.",
    fallback: "info",
  }),
  requireAllTests: setting("ONSALE_TEST_REQUIRE_ALL", Type.Enum(["0", "1"], { description: "0 or 1" }), {
    about: "1: a test that lacks something on this machine fails instead of being skipped.",
    fallback: "0",
  }),
} as const satisfies Record<string, Setting>;

/** What the payments service is given of the settings. */
export const paymentSettings = ({ paymentsAsking, ...settings }: Configuration) => ({
  asking: paymentsAsking === "patient" ? patientAsking : eagerAsking,
  anomalies: {
    failures: settings.failoverFailures,
    withinMs: settings.failoverWithinMs,
    pendingMs: settings.failoverPendingMs,
  },
});

export type Configuration = ConfigurationOf<typeof specification>;

/** @throws {ConfigurationError} naming every fault. */
export const configuration = (): Configuration => readConfiguration(specification);
