/** How far a service has heard what other services tell. */
export interface Feeds {
  /**
   * Waits until everything that `source` committed before `moment` (RFC 3339, database time) has been applied here, at
   * most `withinMs` milliseconds. False when it took longer. So a reader can see its own write through another service.
   */
  passed(source: string, moment: string, withinMs: number): Promise<boolean>;
}
