/** How our ledger and a provider's differ about one order, and what is to be done about it. Pure. */

import { keyOf, type Payment } from "./payment.ts";
import type { StatementLine } from "./provider.ts";

/** Money that we booked, as the provider should have it: captures positive, refunds negative. */
export interface BookedMovement {
  readonly movement: string;
  readonly amountMinor: number;
  readonly currency: string;
  /** Booked since the comparison began, or of a payment that is older than its period: the statement need not have it. */
  readonly isBeyond: boolean;
}

export type ReportedLine = StatementLine & { readonly provider: string };

/** What both sides know of one order. */
export interface BothSides {
  /** What the order's payment was when everything of it had been read; undefined where there is none. */
  readonly payment: Payment | undefined;
  readonly booked: readonly BookedMovement[];
  readonly reported: readonly ReportedLine[];
}

/**
 * `MISSING`: one side has it, the other has not. `DIFFERENT`: both have it, not alike. `DUPLICATE`: the order was charged,
 * or money set aside, more than once. `UNKNOWN`: the provider has money for what is no order of ours.
 */
export type FindingKind = "MISSING" | "DIFFERENT" | "DUPLICATE" | "UNKNOWN";

/**
 * `ASK`: the provider is asked about the movement, and what it says is booked. `GIVE_BACK`: what it holds beside our books
 * is voided or refunded. `PERSON`: nobody but a person can say what is right.
 */
export type Repair = "ASK" | "GIVE_BACK" | "PERSON";

export interface Finding {
  readonly kind: FindingKind;
  readonly provider: string;
  /** Our key of the movement, or the provider's name for the payment: the same at each run. */
  readonly about: string;
  /** The order, or what the provider was told as one. */
  readonly reference: string;
  readonly providerId: string | null;
  /** What the provider holds or moved, else what we booked. */
  readonly amountMinor: number;
  readonly currency: string;
  readonly detail: string;
  readonly repair: Repair;
}

export function compare({ payment, booked, reported }: BothSides): Finding[] {
  const theirs = [...Map.groupBy(reported, ({ provider, providerId }) => `${provider}/${providerId}`).values()];
  const own = theirs.filter((lines) => isOurs(payment, lines));
  const others = theirs.filter((lines) => !own.includes(lines));
  return [
    ...others.flatMap((lines) => strayOf(payment, lines)),
    ...(payment ? own.flatMap((lines) => movementsOf(payment, booked, lines)) : []),
    ...(payment ? unreported(payment, booked, own.flat()) : []),
  ];
}

/** Whether it is the payment that our books are about. */
function isOurs(payment: Payment | undefined, [line]: readonly ReportedLine[]): boolean {
  if (payment === undefined || line === undefined || payment.provider !== line.provider) return false;
  return payment.providerId === line.providerId && !hasEndedUncharged(payment);
}

/** For our books nothing was ever charged, and nothing is open that could still say otherwise. */
const hasEndedUncharged = ({ status, capturedMinor, ask }: Payment): boolean =>
  ask === null && capturedMinor === 0 && ["DECLINED", "CAPTURE_REFUSED", "REVERSED"].includes(status);

/** Money that the provider has beside our books. What it gave back is no matter any more. */
function strayOf(payment: Payment | undefined, lines: readonly ReportedLine[]): Finding[] {
  const [first] = lines;
  const heldMinor = heldIn(lines);
  if (first === undefined || heldMinor === 0 || isUnderWay(payment, first)) return [];
  const { provider, providerId, reference, currency } = first;
  const base = { provider, about: providerId, reference, providerId, amountMinor: heldMinor, currency };
  const holds = `${provider} holds ${currency} ${heldMinor} as ${providerId}`;
  if (payment === undefined)
    return [
      { ...base, kind: "UNKNOWN", detail: `${holds} for ${reference}, which is no order of ours.`, repair: "PERSON" },
    ];
  if (payment.provider === provider && hasEndedUncharged(payment))
    return [{ ...base, kind: "DIFFERENT", detail: `${holds}; for us it is ${payment.status}.`, repair: "GIVE_BACK" }];
  const detail = `${holds}, beside ${payment.providerId ?? "nothing"} of ${payment.provider}.`;
  return [{ ...base, kind: "DUPLICATE", detail, repair: "GIVE_BACK" }];
}

/** Whether it may be the payment whose name we are about to learn. */
const isUnderWay = (payment: Payment | undefined, { provider }: ReportedLine): boolean =>
  payment?.provider === provider && payment.providerId === null && payment.ask?.kind === "authorise";

function heldIn(lines: readonly ReportedLine[]): number {
  const sum = (kind: StatementLine["kind"]) =>
    lines.filter((line) => line.kind === kind).reduce((total, { amountMinor }) => total + amountMinor, 0);
  const captured = sum("capture");
  if (captured > 0) return captured - sum("refund");
  return lines.some(({ kind }) => kind === "void") ? 0 : sum("authorise");
}

/** What it moved, against what we booked of it. */
function movementsOf(payment: Payment, booked: readonly BookedMovement[], lines: readonly ReportedLine[]): Finding[] {
  return lines.flatMap((line): Finding[] => {
    if (line.kind !== "capture" && line.kind !== "refund") return [];
    const own = booked.find((it) => isSame(payment, it, line));
    const amountMinor = line.kind === "refund" ? -line.amountMinor : line.amountMinor;
    const { provider, providerId, reference, currency } = line;
    const about = line.key ?? `${providerId}.${line.kind}`;
    const base = { provider, about, reference, providerId, amountMinor, currency };
    const moved = `${provider} moved ${currency} ${amountMinor} as ${about}`;
    if (own === undefined) {
      if (isBeingAnswered(payment, line)) return [];
      const repair = isAskable(payment, line) ? "ASK" : "PERSON";
      return [{ ...base, kind: "MISSING", detail: `${moved}; we booked nothing.`, repair }];
    }
    if (own.amountMinor === amountMinor && own.currency === currency) return [];
    const detail = `${moved}; we booked ${own.currency} ${own.amountMinor}.`;
    return [{ ...base, kind: "DIFFERENT", detail, repair: "PERSON" }];
  });
}

/** The answer is on its way: whoever asked, or the consumer's next try, books it. */
const isBeingAnswered = ({ paymentId, ask, isUnsettled }: Payment, { kind, key }: ReportedLine): boolean =>
  ask !== null && !isUnsettled && (kind === "capture" || key === keyOf(paymentId, ask.movement));

/** Whether it was moved under a key of this payment: then the provider's answer to that key can be booked. */
const isAskable = ({ paymentId }: Payment, { key }: ReportedLine): boolean =>
  key?.startsWith(keyOf(paymentId, "")) ?? false;

/** A provider that does not tell our key has one capture a payment; its refunds can't be told apart. */
const isSame = ({ paymentId }: Payment, { movement }: BookedMovement, { key, kind }: ReportedLine): boolean =>
  key === null ? kind === "capture" && movement === "capture" : key === keyOf(paymentId, movement);

/** What we booked and the provider does not have. */
function unreported(payment: Payment, booked: readonly BookedMovement[], lines: readonly ReportedLine[]): Finding[] {
  const { provider, providerId, orderId, paymentId } = payment;
  if (provider === null) return [];
  return booked.flatMap((own): Finding[] => {
    if (own.isBeyond || lines.some((line) => isSame(payment, own, line))) return [];
    const { movement, amountMinor, currency } = own;
    const about = keyOf(paymentId, movement);
    const detail = `We booked ${currency} ${amountMinor} as ${about}; ${provider} has no such movement.`;
    return [
      {
        kind: "MISSING",
        provider,
        about,
        reference: orderId,
        providerId,
        amountMinor,
        currency,
        detail,
        repair: "PERSON",
      },
    ];
  });
}
