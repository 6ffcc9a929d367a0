export { type Child, type ChildOptions, endLeftover, InUseError, startChild } from "./child.ts";
export { followOrders, killAtExit } from "./forked.ts";
export { freePorts } from "./free-port.ts";
