import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import { type ShopAnswer, type ShopClient, type ShopRequest, whatIsSaid } from "./shop-client.ts";

/** The shop answered, and not what its interface promises for this request. */
export class UnexpectedAnswerError extends Error {
  override readonly name = "UnexpectedAnswerError";
  readonly status: number;
  /** The problem's stable code, where the answer was one. */
  readonly code: string | undefined;

  constructor({ method, path }: ShopRequest, { status, body }: ShopAnswer) {
    super(`${method} ${path} answered ${status} ${whatIsSaid(body)}`);
    this.status = status;
    this.code = codeOf(body);
  }
}

const AccessToken = Type.Object({ accessToken: Type.String() });
const Tokens = Type.Object({ accessToken: Type.String(), expiresIn: Type.Number() });
const ProviderStates = Type.Object({
  active: Type.String(),
  incidents: Type.Array(
    Type.Object({
      what: Type.String(),
      provider: Type.String(),
      why: Type.String(),
      doneBy: Type.Union([Type.String(), Type.Null()]),
      at: Type.String(),
    }),
  ),
});
/** Whom new payments go to, and what happened to the card providers, the newest first. */
export type ProviderStates = Static<typeof ProviderStates>;
export type ProviderIncident = ProviderStates["incidents"][number];

const CardPayment = Type.Object({
  provider: Type.Union([Type.String(), Type.Null()]),
  status: Type.String(),
  incidents: Type.Array(Type.Object({ what: Type.String(), detail: Type.String() })),
});
/** The card's part of an order, as an operator sees it. */
export type CardPayment = Static<typeof CardPayment>;

const Account = Type.Object({ accountId: Type.String() });
const AcceptedOrder = Type.Object({ orderId: Type.String() });

export const OrderStatus = Type.Union([
  Type.Literal("PENDING"),
  Type.Literal("CONFIRMED"),
  Type.Literal("REJECTED"),
  Type.Literal("CANCELLED"),
]);
export type OrderStatus = Static<typeof OrderStatus>;

const Order = Type.Object({
  orderId: Type.String(),
  status: OrderStatus,
  reason: Type.Union([Type.String(), Type.Null()]),
  currency: Type.String(),
  totalMinor: Type.Integer(),
  paidMinor: Type.Integer(),
  refundedMinor: Type.Integer(),
  paidPointsMinor: Type.Integer(),
  refundedPointsMinor: Type.Integer(),
  lines: Type.Array(
    Type.Object({
      sku: Type.String(),
      quantity: Type.Integer(),
      unitPriceMinor: Type.Integer(),
      returnedQuantity: Type.Integer(),
      allocations: Type.Array(Type.Object({ kind: Type.String(), amountMinor: Type.Integer() })),
    }),
  ),
});
export type Order = Static<typeof Order>;

/** What is compared with each answer, compiled: an order of hundreds of lines is asked for again and again. */
const shapes = {
  accessToken: Compile(AccessToken),
  tokens: Compile(Tokens),
  account: Compile(Account),
  providers: Compile(ProviderStates),
  cardPayment: Compile(CardPayment),
  acceptedOrder: Compile(AcceptedOrder),
  order: Compile(Order),
};

export interface OrderWish {
  readonly currency: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
  readonly payment: { readonly method: string; readonly pointsMinor?: number };
}

/** A call as a person makes it: with a token, and with a key where it must be done once. */
export interface Call {
  readonly accessToken: string;
  readonly idempotencyKey: string;
  readonly correlationId?: string;
}

/** Whether the call changed anything; false when the shop had done the same before. */
export interface Done {
  readonly changed: boolean;
}

/** The shop's public interface in the words of those who use it. Every method waits through outages, as its client does. */
export class Shop {
  readonly #client: ShopClient;

  constructor(client: ShopClient) {
    this.#client = client;
  }

  /** Makes an account and logs in; undefined when the address has one. */
  async register(person: {
    email: string;
    password: string;
    name: string;
  }): Promise<Static<typeof Tokens> | undefined> {
    const request: ShopRequest = { method: "POST", path: "/v1/accounts", body: person };
    const answer = await this.#client.send(request);
    return answer.status === 409 ? undefined : understood(request, answer, 201, shapes.tokens);
  }

  async logIn(credentials: { email: string; password: string }): Promise<Static<typeof Tokens>> {
    return (await this.#expect({ method: "POST", path: "/v1/tokens", body: credentials }, 200, shapes.tokens)).value;
  }

  /** A new guest, who is known by this token alone. */
  async guest(): Promise<Static<typeof AccessToken>> {
    return (await this.#expect({ method: "POST", path: "/v1/guests", body: {} }, 201, shapes.accessToken)).value;
  }

  /** Whose token it is. */
  async accountId({ accessToken }: { accessToken: string }): Promise<string> {
    const request = { method: "GET", path: "/v1/accounts/me", accessToken } as const;
    return (await this.#expect(request, 200, shapes.account)).value.accountId;
  }

  /** As an operator: points that the account may spend. */
  async givePoints(
    call: Call,
    { accountId, ...credit }: { accountId: string; currency: string; amountMinor: number; reason: string },
  ): Promise<Done> {
    return await this.#change({
      ...call,
      method: "POST",
      path: `/v1/admin/wallets/${accountId}/credits`,
      body: credit,
    });
  }

  /** As an operator. */
  async providers({ operator }: { operator: () => Promise<string> }): Promise<ProviderStates> {
    const request = { method: "GET", path: "/v1/admin/payment-providers", accessToken: await operator() } as const;
    return (await this.#expect(request, 200, shapes.providers)).value;
  }

  /** As an operator. */
  async cardPayment({ operator, orderId }: { operator: () => Promise<string>; orderId: string }): Promise<CardPayment> {
    const path = `/v1/admin/payments/${orderId}`;
    return (await this.#expect({ method: "GET", path, accessToken: await operator() }, 200, shapes.cardPayment)).value;
  }

  async publishProduct(
    call: Call,
    product: { sku: string; name: string; priceMinor: number; currency: string },
  ): Promise<Done> {
    return await this.#change({ ...call, method: "POST", path: "/v1/admin/products", body: product });
  }

  async receiveStock(call: Call, receipt: { sku: string; units: number }): Promise<Done> {
    return await this.#change({ ...call, method: "POST", path: "/v1/admin/stock-receipts", body: receipt });
  }

  async placeOrder(call: Call, wish: OrderWish): Promise<Done & { orderId: string }> {
    const { value, replayed } = await this.#expect(
      { ...call, method: "POST", path: "/v1/orders", body: wish },
      202,
      shapes.acceptedOrder,
    );
    return { orderId: value.orderId, changed: !replayed };
  }

  /** The order as its buyer sees it; undefined when the shop knows no such order of this person. */
  async order({ accessToken, orderId }: { accessToken: string; orderId: string }): Promise<Order | undefined> {
    const request: ShopRequest = { method: "GET", path: `/v1/orders/${orderId}`, accessToken };
    const answer = await this.#client.send(request);
    if (answer.status === 404) return undefined;
    return understood(request, answer, 200, shapes.order);
  }

  async cancelOrder(call: Call, { orderId }: { orderId: string }): Promise<Done> {
    return await this.#change({ ...call, method: "POST", path: `/v1/orders/${orderId}/cancel`, body: {} });
  }

  async returnLines(call: Call, { orderId, lines }: { orderId: string; lines: OrderWish["lines"] }): Promise<Done> {
    return await this.#change({ ...call, method: "POST", path: `/v1/orders/${orderId}/returns`, body: { lines } });
  }

  async #change(request: ShopRequest): Promise<Done> {
    const answer = await this.#client.send(request);
    if (answer.status < 200 || answer.status > 299) throw new UnexpectedAnswerError(request, answer);
    return { changed: !answer.replayed && answer.status !== 200 };
  }

  async #expect<Content>(request: ShopRequest, status: number, shape: Shape<Content>) {
    const answer = await this.#client.send(request);
    return { value: understood(request, answer, status, shape), replayed: answer.replayed };
  }
}

interface Shape<Content> {
  Check(body: unknown): body is Content;
}

function understood<Content>(request: ShopRequest, answer: ShopAnswer, status: number, shape: Shape<Content>): Content {
  const { body } = answer;
  if (answer.status !== status || !shape.Check(body)) throw new UnexpectedAnswerError(request, answer);
  return body;
}

function codeOf(body: unknown): string | undefined {
  return typeof body === "object" && body !== null && "code" in body && typeof body.code === "string"
    ? body.code
    : undefined;
}
