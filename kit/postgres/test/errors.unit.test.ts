import {
  CommitUnknownError,
  isLockTimeout,
  isRetryable,
  isUnavailable,
  isUniqueViolation,
  sqlState,
} from "@onsale/postgres";
import pg from "pg";
import { expect, test } from "vitest";
import { saysNothingAboutCommit } from "../src/errors.ts";

function raised(code: string): pg.DatabaseError {
  const error = new pg.DatabaseError("raised by the server", 0, "error");
  error.code = code;
  return error;
}

test.each(["40001", "40P01"])("%s asks for the whole transaction again", (code) => {
  expect(isRetryable(raised(code))).toBe(true);
  expect(isUnavailable(raised(code))).toBe(false);
});

test.each(["57P01", "57P02", "57P03", "53300", "08006", "57014", "25P03"])("%s means to try later", (code) => {
  expect(isUnavailable(raised(code))).toBe(true);
  expect(isRetryable(raised(code))).toBe(false);
});

test.each(["23505", "23514", "42P01", "22P02"])("%s is a fault of the caller, whoever tries when", (code) => {
  expect(isUnavailable(raised(code))).toBe(false);
  expect(isRetryable(raised(code))).toBe(false);
});

test("an error that wraps what PostgreSQL raised is judged by its cause", () => {
  const wrapped = new Error("could not reserve", { cause: new Error("store", { cause: raised("40P01") }) });
  expect(isRetryable(wrapped)).toBe(true);
  expect(sqlState(wrapped)).toBe("40P01");
  expect(isLockTimeout(new Error("", { cause: raised("55P03") }))).toBe(true);
  expect(isUniqueViolation(raised("23505"))).toBe(true);
});

test("a chain of causes that bites its own tail ends", () => {
  const error = new Error("circle");
  error.cause = error;
  expect(isUnavailable(error)).toBe(false);
});

test("a refused connection is unavailability, any other failure of the program is not", () => {
  for (const code of ["ECONNREFUSED", "ENOENT", "EAGAIN"])
    expect(isUnavailable(Object.assign(new Error("connect"), { code })), code).toBe(true);
  expect(isUnavailable(new TypeError("undefined is not a function"))).toBe(false);
  expect(isUnavailable("a thrown string")).toBe(false);
  expect(isUnavailable(new CommitUnknownError("lost"))).toBe(true);
});

test("what PostgreSQL raises at COMMIT rolled it back, unless it ended the session", () => {
  expect(saysNothingAboutCommit(raised("23505"))).toBe(false);
  expect(saysNothingAboutCommit(raised("40001"))).toBe(false);
  expect(saysNothingAboutCommit(raised("57014"))).toBe(false);
  expect(saysNothingAboutCommit(raised("57P01"))).toBe(true);
  expect(saysNothingAboutCommit(new Error("Connection terminated unexpectedly"))).toBe(true);
});
