import type { HttpServer } from "@onsale/http";
import { Type } from "typebox";
import { expect, onTestFinished, test } from "vitest";
import { checkInput } from "../src/testing.ts";
import { serverWith, signer } from "./server-for-tests.ts";

const Line = Type.Object({
  sku: Type.String({ minLength: 1, maxLength: 8 }),
  units: Type.Integer({ minimum: 1, maximum: 9 }),
});
const Body = Type.Object({
  lines: Type.Array(Line, { minItems: 1, maxItems: 3 }),
  note: Type.Optional(Type.String({ maxLength: 5 })),
});

async function check(routes: (http: HttpServer) => void) {
  const { http } = await serverWith(routes);
  onTestFinished(() => http.close());
  await http.ready();
  return await checkInput(http, await signer.sign({ id: "0192f0c1-0000-7000-8000-000000000001", role: "admin" }, 60));
}

const route =
  (schema: object, closing = {}) =>
  (http: HttpServer) =>
    void http.post(
      "/v1/things",
      { config: { access: "buyer" }, schema: { body: schema as typeof Body }, ...closing },
      async () => ({}),
    );

test("a route that holds to its schema passes, and every bound of it was tried", async () => {
  const { checked, faults } = await check(route(Body));
  expect(faults).toEqual([]);
  // Too many and missing fields at two levels, both ends of four bounds, types and fractions.
  expect(checked).toBeGreaterThanOrEqual(14);
});

test("a door that stands open is told, with the place", async () => {
  const open = Type.Object({ ...Body.properties }, { additionalProperties: true });
  expect((await check(route(open))).faults).toEqual([
    "POST /v1/things with body /fieldThatNoRouteKnows too many answered 200 ",
  ]);
  const lenient = { validatorCompiler: () => () => true };
  expect((await check(route(Body, lenient))).faults).toContain(
    "POST /v1/things with body /lines/0/units too large answered 200 ",
  );
});

test("a shape that no sample fits is told: its route would not be tried", async () => {
  const unknown = Type.Object({ code: Type.String({ pattern: "^zz\\d{9}$" }) });
  expect((await check(route(unknown))).faults).toEqual(["POST /v1/things: no body fits"]);
});
