/** Ids that are the same in every run and rise: `00000000-0000-7000-8000-000000000001` and so on. */
export function testIds(first = 1): { uuid(): string } {
  let next = first;
  return { uuid: () => `00000000-0000-7000-8000-${(next++).toString(16).padStart(12, "0")}` };
}
