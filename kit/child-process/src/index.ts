export { type Child, type ChildOptions, endLeftover, InUseError, startChild } from "./child.ts";
export { freePorts } from "./free-port.ts";
