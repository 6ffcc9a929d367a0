import { writeSync } from "node:fs";
import type { Reporter, SerializedError, TestModule, TestRunEndReason } from "vitest/node";

/**
 * Prints, as the very last line of the run, `N passed, N failed, N skipped`, and before it the name of each test that was
 * skipped. A file that could not be read or set up counts as a failure, as do an error outside of any test, a run that
 * was broken off, and a run in which nothing was tested.
 */
export class LastLineReporter implements Reporter {
  #count: Count | undefined;

  onInit(): void {
    // At the process's exit, so that nothing that vitest still has to say (about sockets left open, say) comes after it.
    process.once("exit", () => {
      const count = this.#count ?? { passed: 0, failed: 1, skipped: [] };
      if (count.failed > 0) process.exitCode ||= 1;
      const lines = count.skipped.map((name) => `skipped: ${name}\n`);
      writeSync(
        1,
        `${lines.join("")}${count.passed} passed, ${count.failed} failed, ${count.skipped.length} skipped\n`,
      );
    });
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[], reason: TestRunEndReason): void {
    this.#count = countOf(modules, errors, reason);
  }
}

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly string[];
}

export function countOf(
  modules: readonly Pick<TestModule, "children" | "ok" | "relativeModuleId">[],
  errors: readonly unknown[],
  reason: TestRunEndReason,
): Count {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const inState = (state: string) => tests.filter((test) => test.result().state === state);
  const passed = inState("passed").length;
  const failedTests = inState("failed").length;
  // Collection, a hook, or a test that never ended: the file failed although none of its tests says so.
  const failedFiles = modules.filter(
    (module) => !module.ok() && ![...module.children.allTests()].some((test) => test.result().state === "failed"),
  ).length;
  const failed = failedTests + failedFiles + errors.length;
  const nothingTested = passed + failed === 0;
  return {
    passed,
    failed: failed === 0 && (nothingTested || reason !== "passed") ? 1 : failed,
    skipped: tests
      .filter((test) => ["skipped", "pending"].includes(test.result().state))
      .map((test) => `${test.module.relativeModuleId} > ${test.fullName}`),
  };
}
