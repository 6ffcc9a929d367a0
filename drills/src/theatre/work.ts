/** What a process of a drill is doing. */
export interface Work {
  /** Ends it in good order; a writer makes so many more changes first. */
  finish(changes: number): Promise<void>;
}
