export { inventory } from "./service.ts";
