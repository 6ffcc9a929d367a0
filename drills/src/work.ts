/** What a process of a drill is doing. */
export interface Work {
  /** Ends it in good order. */
  finish(): Promise<void>;
}
