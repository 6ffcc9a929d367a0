import type { MigrationSet } from "@onsale/postgres";

export {
  armDeadlines,
  armFirstDeadlines,
  type Deadline,
  deadlinesOfKey,
  disarmDeadlines,
  takeDueDeadlines,
} from "./deadlines.ts";
export { type Compensations, callForCompensations } from "./failed-compensations.ts";
export {
  defineSaga,
  type Move,
  type PendingWait,
  type Progress,
  type Saga,
  type SagaSpecification,
  type SagaStep,
  type SagaUndo,
  type Signal,
  type Wait,
} from "./saga.ts";
export {
  closeTask,
  closeTasksOf,
  listOpenTasks,
  type NewTask,
  type OpenTask,
  openTasks,
  openTasksOfKey,
  readTask,
  type Task,
} from "./tasks.ts";

/** The tables of deadlines and tasks. They read the consumer runtime's tables, which therefore come first. */
export const migrations: MigrationSet = { owner: "saga", directory: new URL("../migrations/", import.meta.url) };
