export { benchInstall } from "./install.ts";
export { benchInventory, type InventoryBenchOptions } from "./inventory.ts";
export { benchMessaging, type MessagingBenchOptions, type MessagingPart, messagingParts } from "./messaging.ts";
export { benchOrders, type OrderRow, type OrdersBenchOptions, orderRows } from "./orders.ts";
export { type BenchReport, type BenchRow, type BenchShop, tableOf } from "./report.ts";
