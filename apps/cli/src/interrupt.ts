import { say } from "./output.ts";

const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Interrupt = keyof typeof codes;

/**
 * Calls `first` at the first SIGINT, SIGTERM or SIGHUP, so that what is under way can be ended in good order. At the
 * second one `atOnce` is called and the process is over.
 */
export function onInterrupt({ first, atOnce }: { first: (signal: Interrupt) => void; atOnce: () => void }): {
  off(): void;
} {
  let interrupted = false;
  const hear = (signal: NodeJS.Signals): void => {
    if (!interrupted) {
      interrupted = true;
      first(signal as Interrupt);
      return;
    }
    atOnce();
    process.exit(codes[signal as Interrupt]);
  };
  const names = Object.keys(codes) as Interrupt[];
  for (const name of names) process.on(name, hear);
  return { off: () => names.forEach((name) => void process.off(name, hear)) };
}

/** A signal that aborts at the first interrupt, which is answered with `words`; the second is as above. */
export function interruption({
  words = "Ending; once more to end at once.",
  atOnce = () => undefined,
}: {
  readonly words?: string;
  readonly atOnce?: () => void;
} = {}): { readonly signal: AbortSignal; off(): void } {
  const controller = new AbortController();
  const first = (signal: Interrupt): void => {
    say(words);
    controller.abort(new InterruptedError(signal));
  };
  const { off } = onInterrupt({ first, atOnce });
  return { signal: controller.signal, off };
}

/** The person ended the command; what it did until then stays done. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  readonly exitCode: number;
  constructor(signal: Interrupt) {
    super(`Ended by ${signal}.`);
    this.exitCode = codes[signal];
  }
}
