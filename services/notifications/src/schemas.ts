import { BuyerId, OrderId } from "@onsale/contracts/ids";
import { Instant } from "@onsale/contracts/time";
import { Type } from "typebox";
import { languages } from "./wording.ts";

const Nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);

const uuidOf = (kind: string) =>
  Type.String({
    pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    description: `${kind} id, a UUID in lower case.`,
  });

export const MessageId = uuidOf("message");
export const BulkMessageId = uuidOf("bulk message");

export const ChannelName = Type.Union([Type.Literal("chat"), Type.Literal("mail"), Type.Literal("push")]);
const PersonalChannelName = Type.Union([Type.Literal("mail"), Type.Literal("push")]);
export const MessageStatusName = Type.Union([
  Type.Literal("pending"),
  Type.Literal("sent"),
  Type.Literal("kept"),
  Type.Literal("withdrawn"),
  Type.Literal("dead"),
]);

/** A page is read by a person or a script that follows `next`. */
export const maximumPage = 200;
export const PageLimit = Type.Optional(Type.Integer({ minimum: 1, maximum: maximumPage, default: 50 }));

const next = { description: "Give it as `after` for the next page; null at the end." };

export const MessagePage = Type.Object({
  messages: Type.Array(
    Type.Object({
      messageId: MessageId,
      kind: Type.String(),
      channel: ChannelName,
      status: MessageStatusName,
      orderId: Nullable(OrderId),
      recipientId: Nullable(BuyerId),
      language: Type.String(),
      text: Type.String({ description: "Its words. A code in it is not shown." }),
      attempts: Type.Integer(),
      lastFailure: Nullable(Type.String()),
      createdAt: Instant,
      dueAt: Nullable(Instant),
      endedAt: Nullable(Instant),
    }),
  ),
  next: Type.Union([MessageId, Type.Null()], next),
});

export const LinePage = Type.Object({
  channels: Type.Array(
    Type.Object({
      channel: ChannelName,
      isConfigured: Type.Boolean({ description: "Whether this shop has a sender for it." }),
      failures: Type.Integer({ description: "Calls in a row that found nobody." }),
      closedUntil: Nullable(Instant),
      pending: Type.Integer({ description: "Messages that wait, news excepted; counted up to 10,000." }),
      dead: Type.Integer({ description: "Messages that were given up; counted up to 10,000." }),
    }),
  ),
});

// A quarter of a second of PostgreSQL's time; more is done by asking again.
const resentAtOnce = 10_000;

export const ResendWish = Type.Object({
  channel: ChannelName,
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: resentAtOnce, default: 1_000 })),
});

// RFC 5321: an address has at most 254 characters. Whether mail arrives there, only mail can tell.
const Email = Type.String({
  maxLength: 254,
  pattern: '^[^\\s@<>(),;:\\\\"\\[\\]\\u0000-\\u001f\\u007f]+@[^\\s@<>(),;:\\\\"\\[\\]\\u0000-\\u001f\\u007f]+$',
  description: "An e-mail address. It is asked to confirm itself, and told nothing before it has.",
});

// Tokens of the telephones' makers have up to some hundred characters.
const PushToken = Type.String({ minLength: 1, maxLength: 1_024, pattern: "^[\\x21-\\x7e]+$" });

const LanguageTag = Type.String({
  pattern: "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$",
  maxLength: 35,
  description: `A language tag. Spoken are ${languages.join(", ")}; others are answered in English.`,
});

const Chosen = Type.Array(PersonalChannelName, { maxItems: 2, uniqueItems: true });

export const SettingsBody = Type.Object({
  language: LanguageTag,
  email: Nullable(Email),
  pushToken: Nullable(PushToken),
  orders: Chosen,
  news: Chosen,
});

export const SettingsView = Type.Object({
  language: Type.String(),
  email: Nullable(Type.String()),
  emailConfirmed: Type.Boolean(),
  pushToken: Nullable(Type.String()),
  orders: Type.Array(PersonalChannelName, { description: "Channels that tell of the person's own orders." }),
  news: Type.Array(PersonalChannelName, { description: "Channels that bring the shop's news." }),
});

export const CodeBody = Type.Object({ code: Type.String({ minLength: 1, maxLength: 32 }) });

// As long as a mail that is still read; a telephone shows the beginning.
const NewsTextBody = Type.Object({
  title: Type.String({ minLength: 1, maxLength: 100 }),
  text: Type.String({ minLength: 1, maxLength: 5_000 }),
});

const NewsTexts = Type.Object(
  { en: Type.Optional(NewsTextBody), ko: Type.Optional(NewsTextBody) },
  { minProperties: 1, description: "By language. A reader whose language is missing reads English, else the first." },
);

// Above it, who is meant is better said by what people chose.
const maximumNamed = 1_000;

// What one process can send in a second with room for everything else.
const maximumRate = 500;

export const BulkMessageBody = Type.Object({
  texts: NewsTexts,
  channels: Type.Array(PersonalChannelName, { minItems: 1, maxItems: 2, uniqueItems: true }),
  personIds: Type.Optional(
    Type.Array(BuyerId, {
      minItems: 1,
      maxItems: maximumNamed,
      description: "Of these, those who want news. Absent: everybody who wants news.",
    }),
  ),
  sendAt: Type.Optional(Type.Unsafe<string>({ ...Instant, description: "Absent: at once." })),
  ratePerSecond: Type.Number({
    minimum: 0.1,
    maximum: maximumRate,
    description: "Messages a second, all processes together.",
  }),
});

const Count = Type.Integer({ minimum: 0 });

export const BulkMessageView = Type.Object({
  bulkMessageId: BulkMessageId,
  status: Type.Union([Type.Literal("scheduled"), Type.Literal("done"), Type.Literal("cancelled")]),
  texts: NewsTexts,
  channels: Type.Array(PersonalChannelName),
  named: Nullable(Type.Integer({ description: "How many people it names; null: everybody who wants news." })),
  ratePerSecond: Type.Number(),
  sendAt: Instant,
  createdBy: BuyerId,
  createdAt: Instant,
  endedAt: Nullable(Instant),
  allReached: Type.Boolean({ description: "Whether everybody whom it is for has their message written down." }),
  messages: Type.Object({ pending: Count, sent: Count, withdrawn: Count, dead: Count }),
});

export const BulkMessagePage = Type.Object({
  bulkMessages: Type.Array(BulkMessageView),
  next: Type.Union([BulkMessageId, Type.Null()], next),
});
