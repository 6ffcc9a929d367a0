import { once } from "node:events";
import { pino } from "pino";

export type Logger = import("pino").Logger;

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Absolute path of the file to append to; absent: standard output. */
  readonly file?: string;
}

export interface OpenLogger {
  readonly logger: Logger;
  /** Writes what is still in memory, synchronously: the last lines before an exit are the ones that matter. */
  flush(): void;
  /** Opens the path anew, after the file was renamed. */
  reopen(): void;
}

/** Opens a logger of one JSON object per line. Lines are buffered up to 4 kB: a crowd must not wait for the disk. */
export async function openLogger({ level, file }: LoggerOptions): Promise<OpenLogger> {
  const destination = pino.destination({ dest: file ?? 1, sync: false, minLength: 4_096, append: true, mode: 0o600 });
  // Before that nothing can be flushed: the words of a start that fails at once would be lost.
  if (file !== undefined) await once(destination, "ready");
  // Half-filled buffers are written each second, so that somebody who follows the log is never far behind.
  const timer = setInterval(() => destination.flush(), 1_000).unref();
  // A full disk must not stop the shop: what can't be written is lost, the process goes on.
  destination.on("error", () => undefined);
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError, err: describeError },
      redact: { paths: secretPaths, censor: "[secret]" },
    },
    destination,
  );
  return {
    logger,
    reopen: () => destination.reopen(),
    flush() {
      clearInterval(timer);
      try {
        destination.flushSync();
      } catch {
        // The disk is full: there is nobody left to tell.
      }
    },
  };
}

/** A logger that writes nothing. */
export const silentLogger = (): Logger => pino({ level: "silent" });

const secretNames = ["password", "accessToken", "refreshToken", "authorization", "cookie", "secret", "token", "email"];
const secretPaths = secretNames.flatMap((name) => [name, `*.${name}`]);

export interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: DescribedError;
  /** What went wrong one beside the other, the first of them. */
  readonly errors?: readonly DescribedError[];
}

// A broker that refuses a request names each partition: the first few say it.
const mostInner = 3;

/**
 * What a log says about an error. Only these fields: a database error also carries `detail`, and with it the row's
 * values, which may be a person's.
 */
export function describeError(error: unknown): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const code = (error as NodeJS.ErrnoException).code;
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === "string" && { code }),
    ...(error.stack !== undefined && { stack: error.stack }),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
    ...(error instanceof AggregateError && { errors: error.errors.slice(0, mostInner).map(describeError) }),
  };
}
