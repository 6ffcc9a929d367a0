/** One place in which two JSON values differ, as an operation of RFC 6902, with what stood there before. */
export type JsonChange =
  | { readonly op: "add"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string; readonly before: unknown }
  | { readonly op: "replace"; readonly path: string; readonly before: unknown; readonly value: unknown };

/**
 * The changes that make `after` of `before`, from the outside in. Elements of an array are compared by their index, since
 * nothing says which of them are the same.
 */
export function jsonDifference(before: unknown, after: unknown, path = ""): JsonChange[] {
  if (Object.is(before, after)) return [];
  if (!isContainer(before) || !isContainer(after) || Array.isArray(before) !== Array.isArray(after))
    return [{ op: "replace", path, before, value: after }];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changes = names.flatMap((name) => changesAt(before, after, name, `${path}/${escapePointer(name)}`));
  // Removed from the end, so that applying one change does not move the place of the next.
  return Array.isArray(before) ? [...changes.filter(isNoRemoval), ...changes.filter(isRemoval).reverse()] : changes;
}

type Container = Readonly<Record<string, unknown>>;

const isContainer = (value: unknown): value is Container => typeof value === "object" && value !== null;

function changesAt(before: Container, after: Container, name: string, path: string): JsonChange[] {
  if (!Object.hasOwn(after, name)) return [{ op: "remove", path, before: before[name] }];
  if (!Object.hasOwn(before, name)) return [{ op: "add", path, value: after[name] }];
  return jsonDifference(before[name], after[name], path);
}

const isRemoval = ({ op }: JsonChange): boolean => op === "remove";
const isNoRemoval = (change: JsonChange): boolean => !isRemoval(change);

/** As RFC 6901 wants it. */
const escapePointer = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");
