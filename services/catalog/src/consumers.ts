import { shelfEmptied, shelfRefilled } from "@onsale/contracts/inventory";
import { consumer } from "@onsale/messaging";
import { noteShelves } from "./note-shelves.ts";

export const consumers = [
  consumer("catalog.note-shelves", { on: [shelfEmptied, shelfRefilled], in: "batch", do: noteShelves }),
];
