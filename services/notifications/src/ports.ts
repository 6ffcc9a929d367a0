import type { BasePorts } from "@onsale/messaging";
import type { DeliveryRule } from "./delivery.ts";
import type { Senders } from "./sender.ts";
import type { Unsubscribing } from "./unsubscribe-link.ts";

export { type DeliveryRule, patientDelivery } from "./delivery.ts";

export interface NotificationPorts extends BasePorts {
  /** A channel without a sender does not exist: what the shop tells its own people stays in the table of messages. */
  readonly senders: Senders;
  readonly delivery: DeliveryRule;
  /** Absent: news has no links that end it. */
  readonly unsubscribing?: Unsubscribing;
}
