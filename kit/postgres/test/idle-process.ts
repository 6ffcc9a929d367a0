/** Run by tests as a process of its own that does nothing: somebody else's. */

setInterval(() => undefined, 60_000);
