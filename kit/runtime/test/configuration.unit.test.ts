import { Type } from "typebox";
import { expect, test } from "vitest";
import {
  ConfigurationError,
  nearestName,
  optionalSetting,
  readConfiguration,
  requiredSetting,
  setting,
  shownConfiguration,
} from "../src/configuration.ts";

const specification = {
  port: setting("ONSALE_PORT", Type.Integer({ minimum: 0, maximum: 65_535 }), { about: "Port.", fallback: 7080 }),
  databaseUrl: optionalSetting(
    "ONSALE_DATABASE_URL",
    Type.String({ pattern: "^postgres://", description: "a postgres URL" }),
    { about: "Database.", secret: true },
  ),
  region: requiredSetting("ONSALE_REGION", Type.String({ minLength: 2 }), { about: "Region." }),
  loud: setting("ONSALE_LOUD", Type.Boolean(), { about: "Loud.", fallback: false }),
  share: setting("ONSALE_SHARE", Type.Number({ minimum: 0, maximum: 1 }), { about: "Share.", fallback: 0.5 }),
};

function faultsOf(environment: Record<string, string>): readonly string[] {
  try {
    readConfiguration(specification, environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.faults;
    throw error;
  }
}

test("values come typed, absent ones as their fallback, and names of others do not matter", () => {
  const environment = {
    ONSALE_REGION: "eu",
    ONSALE_PORT: "8080",
    ONSALE_LOUD: "true",
    ONSALE_SHARE: "0.25",
    PATH: "/bin",
  };
  expect(readConfiguration(specification, environment)).toEqual({
    port: 8080,
    databaseUrl: undefined,
    region: "eu",
    loud: true,
    share: 0.25,
  });
});

test("an empty variable is an absent one", () => {
  expect(readConfiguration(specification, { ONSALE_REGION: "eu", ONSALE_PORT: "" }).port).toBe(7080);
  expect(faultsOf({ ONSALE_REGION: "" })).toEqual(["ONSALE_REGION is missing."]);
});

test("every fault is told at once", () => {
  const faults = faultsOf({
    ONSALE_PORT: "99999",
    ONSALE_DATABASE_URL: "mysql://x",
    ONSALE_LOUD: "yes",
    ONSALE_PROT: "1",
  });
  expect(faults).toHaveLength(5);
  expect(faults.join("\n")).toMatch(
    /ONSALE_PORT.*99999[\s\S]*ONSALE_DATABASE_URL[\s\S]*ONSALE_REGION is missing[\s\S]*ONSALE_LOUD[\s\S]*ONSALE_PROT is unknown; did you mean ONSALE_PORT\?/,
  );
});

test.each(["8e3", " 8080", "0x1f90", "80.5", "eighty", "-1"])("%j is no port", (text) => {
  expect(faultsOf({ ONSALE_REGION: "eu", ONSALE_PORT: text })).toHaveLength(1);
});

test("a secret is shown neither in a fault nor in the log", () => {
  expect(faultsOf({ ONSALE_REGION: "eu", ONSALE_DATABASE_URL: "hunter2" })).toEqual([
    "ONSALE_DATABASE_URL must be a postgres URL.",
  ]);
  const values = readConfiguration(specification, {
    ONSALE_REGION: "eu",
    ONSALE_DATABASE_URL: "postgres://u:hunter2@h/d",
  });
  expect(shownConfiguration(specification, values)).toEqual({
    ONSALE_PORT: 7080,
    ONSALE_DATABASE_URL: "[secret]",
    ONSALE_REGION: "eu",
    ONSALE_LOUD: false,
    ONSALE_SHARE: 0.5,
  });
});

test("a name that resembles none is answered with all of them", () => {
  expect(nearestName("ONSALE_X", ["ONSALE_DATABASE_URL"])).toBeUndefined();
  expect(faultsOf({ ONSALE_REGION: "eu", ONSALE_WHATEVER_THIS_IS: "1" })[0]).toContain("known are ONSALE_PORT");
});
