export {
  array,
  as,
  bigint,
  boolean,
  bytes,
  type Column,
  double,
  instant,
  integer,
  json,
  lsn,
  nullable,
  snapshot,
  text,
  uuid,
  type ValueOf,
  voids,
  writtenJson,
  xid8,
} from "./columns.ts";
export {
  type Database,
  type DatabaseOptions,
  type Home,
  openDatabase,
  type Queryable,
  type Transaction,
  type TransactionOptions,
} from "./database.ts";
export { type Describer, findMisdeclared, openDescriber, type StatementDescription } from "./describe.ts";
export { EmbeddedPostgresInUseError } from "./embedded/directory-lock.ts";
export { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from "./embedded.ts";
export {
  CommitUnknownError,
  isLockTimeout,
  isRetryable,
  isStalePlan,
  isUnavailable,
  isUniqueViolation,
  SwallowedFailureError,
  sqlState,
  TransactionEndedError,
} from "./errors.ts";
export { type MigrateOptions, type MigrationSet, migrate } from "./migrate.ts";
export { databaseNow } from "./now.ts";
export { encodeParameters } from "./query.ts";
export type { Replication } from "./replication.ts";
export { asBytes, type RowBytes } from "./rows-as-bytes.ts";
export {
  composedSql,
  declaredStatements,
  type Gives,
  identifier,
  type ParametersOf,
  type Statement,
  sql,
  type Takes,
} from "./sql.ts";
