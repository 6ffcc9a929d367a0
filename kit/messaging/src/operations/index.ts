/** What operators do with events by hand: the package's second entry, beside the one for applications. */

export { type HeardType, type Reader, readersOf } from "../consumers/readers.ts";
export {
  type By,
  countLetters,
  type Dropped,
  dropLetter,
  type Edited,
  editLetter,
  groupLetters,
  type Letter,
  type LetterFilter,
  type LetterGroup,
  type LetterName,
  type LetterPlace,
  listLetters,
  showLetter,
  type WholeLetter,
} from "./dead-letters.ts";
export { type HeardAhead, type HeardAheadPage, type HeardAheadPlace, heardAhead } from "./heard-ahead.ts";
export type { JsonChange } from "./json-difference.ts";
export { type LoggedOperation, latestOperations } from "./operation-log.ts";
export { type OutboxLag, type OutboxReaderLag, type OutboxSlot, outboxLags } from "./outbox-lag.ts";
export {
  type Cancelled,
  cancelRedrive,
  findRedrive,
  latestRedrives,
  type Redrive,
  type RedriveMode,
  type Redriven,
  type RedriveStep,
  type RedriveWish,
  redriveLetter,
  startRedrive,
  stepRedrive,
} from "./redrive.ts";
export type { Refusal } from "./refusal.ts";
export { type Resend, type Resent, resendEvent } from "./resend.ts";
export { type Reset, type ResetOutcome, resetReader, type StreamReset } from "./reset.ts";
export { type RetiredStream, type Retirement, type RetireOutcome, retireReader } from "./retire.ts";
export {
  hasStreams,
  pauseStreams,
  type ReaderLag,
  readerLags,
  resumeStreams,
  type StreamFilter,
  type StreamLag,
  type Switched,
  streamText,
} from "./streams.ts";
export { type EventFilter, eventById, eventsAfter, latestEvents, type Tail, type TailCursor } from "./told-events.ts";
