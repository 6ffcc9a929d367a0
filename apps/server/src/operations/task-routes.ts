import type { HttpServer } from "@onsale/http";
import { closeTask, listOpenTasks, type OpenTask, readTask } from "@onsale/saga";
import { Type } from "typebox";
import { refusal } from "./errors.ts";
import type { OperatedService, OperatedServices } from "./operated-services.ts";
import { Moment, NullableText, Uuid } from "./schemas.ts";

const ServiceName = Type.String({ maxLength: 63, description: "The service that called." });

const taskFields = {
  service: ServiceName,
  taskId: Uuid,
  kind: Type.String(),
  key: Type.String({ description: "What it is about, for instance an order's id." }),
  what: Type.String({ description: "A sentence for the person who looks." }),
  openedAt: Moment,
};
const WholeTask = Type.Object({ ...taskFields, closedAt: NullableText, closedBy: NullableText, outcome: NullableText });

const inPath = Type.Object({ service: ServiceName, taskId: Uuid });

/** Tasks that are open at once are few; a person works through a hundred of each service and asks again. */
const tasksShown = 100;

/** What the program must not, or can't, decide by itself: a person looks, does, and says what came of it. */
export function taskRoutes(http: HttpServer, services: OperatedServices): void {
  http.get(
    "/v1/admin/tasks",
    {
      config: { access: "operator" },
      schema: {
        summary: "Open tasks for a person, the oldest first.",
        description: `At most ${tasksShown} of each service.`,
        querystring: Type.Object({ service: Type.Optional(ServiceName) }),
        response: { 200: Type.Object({ tasks: Type.Array(Type.Object(taskFields)) }) },
      },
    },
    async ({ query }) => {
      const asked = query.service === undefined ? services.all : [named(services, query.service)];
      const open = await Promise.all(asked.map(openTasksOf));
      return { tasks: open.flat().sort((a, b) => (a.openedAt < b.openedAt ? -1 : 1)) };
    },
  );

  http.get(
    "/v1/admin/tasks/:service/:taskId",
    {
      config: { access: "operator" },
      schema: { summary: "One task, open or closed.", params: inPath, response: { 200: WholeTask } },
    },
    async ({ params: { service, taskId } }) => {
      const task = await readTask(named(services, service).database, taskId);
      if (!task) throw refusal("TASK_NOT_FOUND", `${service} has no task ${taskId}.`);
      return { service, ...task };
    },
  );

  http.post(
    "/v1/admin/tasks/:service/:taskId/close",
    {
      config: { access: "operator" },
      schema: {
        summary: "Close a task.",
        description: "What was closed stays so: to close it again is refused.",
        params: inPath,
        body: Type.Object({
          outcome: Type.String({ minLength: 1, maxLength: 500, description: "What came of it." }),
        }),
        response: { 200: WholeTask },
      },
    },
    async ({ params: { service, taskId }, body: { outcome }, person }) => {
      const { database } = named(services, service);
      const closed = await closeTask(database, { taskId, closedBy: person.id, outcome });
      const task = await readTask(database, taskId);
      if (!closed || !task) throw refusal("TASK_NOT_FOUND", `${service} has no open task ${taskId}.`);
      return { service, ...task };
    },
  );
}

const openTasksOf = async ({ name, database }: OperatedService): Promise<(OpenTask & { service: string })[]> =>
  (await listOpenTasks(database, { limit: tasksShown })).map((task) => ({ service: name, ...task }));

function named(services: OperatedServices, name: string): OperatedService {
  const service = services.all.find((it) => it.name === name);
  if (!service) throw refusal("SERVICE_NOT_FOUND", `There is no service ${name}.`);
  return service;
}
