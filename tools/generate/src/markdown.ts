export const code = (text: string): string => `\`${text}\``;

/** A table whose cells can't break it. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  rowOf(head),
  rowOf(head.map(() => "---")),
  ...rows.map(rowOf),
];

const rowOf = (cells: readonly string[]): string => `| ${cells.map(cellOf).join(" | ")} |`;

const cellOf = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
