import { expect, test } from "vitest";
import { faultNames } from "../src/theatre/fault-names.ts";
import { seeCaught } from "./see-caught.ts";

test("each planted fault is caught by the kill drill's own checks, which are green without it", async () => {
  expect(await seeCaught(faultNames)).toMatchObject({ planted: faultNames.length, caught: faultNames.length });
}, 1_200_000);
