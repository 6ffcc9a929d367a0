/** What the configuration and the global setup tell the tests; read with vitest's `inject`. */
declare module "vitest" {
  interface ProvidedContext {
    /** Answers the administrator's URL of the run's throw-away PostgreSQL, which starts when it is first asked for. */
    readonly postgresBroker: string;
    /** Answers about the run's other parts; see `kafka.ts`. */
    readonly partsOfThisRun: string;
    /** Whether a part that is absent fails the tests that need it instead of skipping them. */
    readonly requireAll: boolean;
  }
}

export {};
