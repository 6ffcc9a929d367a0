import { defineErrors, type ErrorDefinition, type ProblemError, problem } from "@onsale/http";
import type { Refusal } from "@onsale/messaging/operations";

const errors = defineErrors("operations", {
  READER_NOT_FOUND: { title: "No service reads under this name.", retryable: false },
  LETTER_NOT_FOUND: { title: "There is no such dead letter.", retryable: false },
  REDRIVE_NOT_FOUND: { title: "There is no such redrive.", retryable: false },
  EVENT_NOT_FOUND: { title: "No outbox has this event among those that are looked at.", retryable: false },
  STREAM_NOT_FOUND: { title: "Nothing is read under this name.", retryable: false },
  NOTHING_FITS: { title: "No dead letter fits this filter.", retryable: false },
  NOT_AN_EVENT: { title: "What lies there is no event of ours and can only be dropped.", retryable: false },
  LETTER_CHANGED: { title: "The letter was edited meanwhile.", retryable: false },
  TYPE_NOT_HEARD: { title: "This reader does not hear this type.", retryable: false },
  PAYLOAD_DOES_NOT_FIT: { title: "The payload does not fit the schema of its type.", retryable: false },
  KEY_CHANGED: { title: "The payload has another key than the event.", retryable: false },
  ALREADY_WAITING: { title: "The event waits there already.", retryable: false },
  REDRIVE_ENDED: { title: "The redrive has ended already.", retryable: false },
  NOT_READ_YET: { title: "The reader has not come to this event yet.", retryable: false },
  CONFIRMATION_NEEDED: { title: "This would take effect a second time; say that it is meant.", retryable: false },
  TOPIC_NOT_FOUND: { title: "The topic that this reader reads isn't there.", retryable: false },
  KAFKA_UNREACHABLE: { title: "Kafka does not answer.", retryable: true },
  SERVICE_NOT_FOUND: { title: "There is no service of this name.", retryable: false },
  TASK_NOT_FOUND: { title: "There is no such open task.", retryable: false },
  READER_RUNS: { title: "The reader is not gone.", retryable: false },
  NO_SEQUENCES: { title: "The reader counts no sequences.", retryable: false },
  SLOT_NOT_DROPPED: { title: "The reader's replication slot could not be dropped.", retryable: true },
  TOO_MANY_EVENTS: { title: "These are more events than one reset may let take effect again.", retryable: false },
});

const statuses: Readonly<Record<keyof typeof errors, 404 | 409 | 422 | 503>> = {
  READER_NOT_FOUND: 404,
  LETTER_NOT_FOUND: 404,
  REDRIVE_NOT_FOUND: 404,
  EVENT_NOT_FOUND: 404,
  STREAM_NOT_FOUND: 404,
  NOTHING_FITS: 404,
  NOT_AN_EVENT: 409,
  LETTER_CHANGED: 409,
  TYPE_NOT_HEARD: 422,
  PAYLOAD_DOES_NOT_FIT: 422,
  KEY_CHANGED: 422,
  ALREADY_WAITING: 409,
  REDRIVE_ENDED: 409,
  NOT_READ_YET: 409,
  CONFIRMATION_NEEDED: 409,
  TOPIC_NOT_FOUND: 409,
  KAFKA_UNREACHABLE: 503,
  SERVICE_NOT_FOUND: 404,
  TASK_NOT_FOUND: 404,
  READER_RUNS: 409,
  NO_SEQUENCES: 409,
  SLOT_NOT_DROPPED: 503,
  TOO_MANY_EVENTS: 422,
};

export type OperationError = keyof typeof errors;

/** A refusal on its way to the client. */
export function refusal(code: OperationError, detail: string): ProblemError {
  const definition: ErrorDefinition = errors[code];
  return problem(statuses[code], definition, { detail });
}

/** Passes on what was done; what was refused is thrown as the problem that it is. */
export function orRefuse<Outcome extends { readonly kind: string }>(
  outcome: Outcome | Refusal<OperationError>,
): Exclude<Outcome, Refusal> {
  if (outcome.kind === "refused") {
    const { code, detail } = outcome as Refusal<OperationError>;
    throw refusal(code, detail);
  }
  return outcome as Exclude<Outcome, Refusal>;
}
