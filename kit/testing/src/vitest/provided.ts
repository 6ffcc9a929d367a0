/** What the global setup tells the tests; read with vitest's `inject`. */
declare module "vitest" {
  interface ProvidedContext {
    /** The administrator's URL of the run's throw-away PostgreSQL; empty when no test of the run needs one. */
    readonly postgresUrl: string;
  }
}

export {};
