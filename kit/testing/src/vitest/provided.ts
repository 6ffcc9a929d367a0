/** What the configuration and the global setup tell the tests; read with vitest's `inject`. */
declare module "vitest" {
  interface ProvidedContext {
    /** Answers about the run's other parts; see `part-of-this-run.ts`. */
    readonly partsOfThisRun: string;
    /** Whether a part that is absent fails the tests that need it instead of skipping them. */
    readonly requireAll: boolean;
  }
}

export {};
