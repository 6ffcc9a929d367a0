export { benchInstall } from "./install.ts";
export { benchOrders, type OrdersBenchOptions } from "./orders.ts";
export { type BenchReport, type BenchRow, type BenchShop, tableOf } from "./report.ts";
