import type { Delivered } from "@onsale/messaging";
import type { Database } from "@onsale/postgres";
import { everyCrashPoint, type OutsideStep } from "@onsale/testing";
import { describe, expect, test } from "vitest";
import { receiveWebhook } from "../src/receive-webhook.ts";
import { readPayments } from "../src/store/payment.ts";
import { switchByHand } from "../src/switch-provider.ts";
import { watchProviders } from "../src/watch-providers.ts";
import type { WebhookEvent } from "../src/webhook.ts";
import {
  askUntilQuiet,
  content,
  contextWith,
  endLeases,
  hear,
  hearWith,
  LossyProvider,
  orderId,
  owedByLedger,
  owedByModel,
  payable,
  portsWith,
  returned,
  secured,
  states,
  told,
  withdrawn,
} from "./till.ts";

// Wherever a use case is broken off, doing it again must lead to where an undisturbed run leads: the same states, the same
// facts each once, and one charge at the provider, whose books no crash of ours undoes.
const timeout = 240_000;
const never = new AbortController().signal;

interface Scenario {
  readonly before?: (database: Database, provider: LossyProvider) => Promise<void>;
  readonly run: (database: Database, provider: LossyProvider) => Promise<void>;
}

async function everyCrashOf({ before, run }: Scenario) {
  const prepared = new LossyProvider();
  let provider = prepared;
  let deliveries = 0;
  const result = await everyCrashPoint({
    content,
    schema: "payments",
    prepare: async (database) => before?.(database, prepared),
    async deliver(database, step) {
      // Each attempt delivers twice. Its first delivery finds the provider's books as they were, as it does ours.
      if (deliveries++ % 2 === 0) provider = new LossyProvider({ model: prepared.model.copy() });
      await run(database, failing(provider, step));
    },
    outcome: async (database) => ({
      states: await states(database),
      told: lastWords(await told(database)),
      owed: await owedByLedger(database),
      owedByModel: owedByModel(provider),
      authorisations: provider.model.authorisations,
      captures: provider.model.captures,
    }),
    check(outcome, undisturbed) {
      expect(outcome).toEqual(undisturbed);
      expect(outcome.owed).toBe(outcome.owedByModel);
    },
  });
  expect(result.steps).toBeGreaterThan(5);
}

/**
 * What was told, each once and numbered without a gap. Left out is that a reversal takes longer: a call that fails leaves
 * its outcome unknown, which an undisturbed run does not meet.
 */
function lastWords(facts: readonly string[]): string[] {
  const parts = facts.map((it) => it.split(" "));
  for (const [order, ofOrder] of Map.groupBy(parts, ([id]) => id)) {
    expect(
      ofOrder.map(([, , sequence]) => Number(sequence)),
      `facts of order ${order}`,
    ).toEqual(ofOrder.map((_, index) => index + 1));
  }
  return parts.flatMap(([order, kind]) => (kind === "reversing" ? [] : [`${order} ${kind}`])).toSorted();
}

/** The same provider, with every call a step at which the program can die, before it or after it. */
function failing(provider: LossyProvider, step: OutsideStep): LossyProvider {
  const around =
    <Request, Outcome>(verb: string, call: (request: Request) => Promise<Outcome>) =>
    (request: Request) =>
      step(`provider: ${verb}`, () => call(request));
  return Object.assign(Object.create(provider) as LossyProvider, {
    authorise: around("authorise", provider.authorise),
    capture: around("capture", provider.capture),
    cancel: around("cancel", provider.cancel),
    refund: around("refund", provider.refund),
    query: around("query", provider.query),
  });
}

const hearing = (events: readonly Delivered[]) => (database: Database, provider: LossyProvider) =>
  hear(database, provider, events);
const paid = async (database: Database, provider: LossyProvider) => {
  await hear(database, provider, [payable(1), payable(2)]);
};
const charged = async (database: Database, provider: LossyProvider) => {
  await paid(database, provider);
  await hear(database, provider, [secured(1), secured(2)]);
};

const asking = async (database: Database, provider: LossyProvider) => {
  await endLeases(database);
  await askUntilQuiet(database, provider);
};
/** The job as well, since it is what takes up what a crash left unknown. */
const hearingAndAsking = (events: readonly Delivered[]) => async (database: Database, provider: LossyProvider) => {
  await hear(database, provider, events);
  await asking(database, provider);
};

describe("every crash point", { timeout }, () => {
  test("authorising", () => everyCrashOf({ run: hearingAndAsking([payable(1), payable(2)]) }));

  test("capturing", () => everyCrashOf({ before: paid, run: hearingAndAsking([secured(1), secured(2)]) }));

  test("voiding", () => everyCrashOf({ before: paid, run: hearingAndAsking([withdrawn(1)]) }));

  test("refunding the whole, and a part", () =>
    everyCrashOf({ before: charged, run: hearingAndAsking([withdrawn(1), returned(2, 400)]) }));

  test("settling what nobody knew, of an order that was withdrawn meanwhile", () =>
    everyCrashOf({
      async before(database, provider) {
        provider.lose("authorise", "answer");
        await hear(database, provider, [payable(1)]);
        await hearing([withdrawn(1)])(database, provider);
      },
      run: asking,
    }));

  test("giving to another provider what never left for its own", () => {
    const left = Object.assign(new LossyProvider(), { isCircuitOpen: true });
    return everyCrashOf({
      async before(database, provider) {
        await watchProviders(contextWith(database, left, portsWith(left, provider)), never);
        await hearWith(database, portsWith(left, provider), [payable(1)]);
        const operator = { operatorId: orderId(9), reason: "It is dead.", cause: { correlationId: "c" } };
        await switchByHand(database, portsWith(left, provider), { provider: "card-b", ...operator });
      },
      async run(database, provider) {
        await endLeases(database);
        await askUntilQuiet(database, left, 20, portsWith(left, provider));
      },
    });
  });

  test("taking a webhook", () =>
    everyCrashOf({
      async before(database, provider) {
        provider.lose("authorise", "answer");
        await hear(database, provider, [payable(1)]);
      },
      async run(database, provider) {
        await receiveWebhook(contextWith(database, provider), "card-a", [await webhookOf(database)]);
      },
    }));
});

async function webhookOf(database: Database): Promise<WebhookEvent> {
  const payment = (await readPayments(database, [orderId(1)])).get(orderId(1));
  const key = `${payment?.paymentId}.authorise`;
  const data = { id: `pay_${key}`, reference: orderId(1), amountMinor: 1000, currency: "GBP" };
  return { id: "evt_1", data: { ...data, movement: { kind: "authorise", key, amountMinor: 1000 } } };
}
