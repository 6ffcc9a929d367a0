import { Presets, SingleBar } from "cli-progress";

/** Tells a person how far it is. */
export interface Progress {
  /** Begins the next stretch of `total` steps. */
  begin(what: string, total: number): void;
  step(): void;
  end(): void;
}

const silent: Progress = { begin: () => undefined, step: () => undefined, end: () => undefined };

/** A bar on a terminal; nothing where the output is read by a program or kept in a file. */
export function progressOn(stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) return silent;
  let bar: SingleBar | undefined;
  const end = (): void => bar?.stop();
  return {
    begin(what, total) {
      end();
      bar = new SingleBar(
        {
          stream,
          format: `${what.padEnd(24)} {bar} {value}/{total}  {eta_formatted}`,
          hideCursor: true,
          gracefulExit: false,
        },
        Presets.shades_classic,
      );
      bar.start(total, 0);
    },
    step: () => bar?.increment(),
    end,
  };
}
