/**
 * A saga as a pure step machine: what has been asked and answered so far, a signal, and what follows from it. It knows no
 * service, no clock and no database, and every (progress, signal) pair has an answer: a signal that does not fit is a
 * late or repeated one, and changes nothing.
 *
 * The rule of compensation: what was asked is undone in reverse order, whether it was answered or not, because a step
 * that did not answer may have happened. The service that undoes gets the undo after the ask, so it can always tell.
 */

/** One step: another service is asked by a fact that the saga tells, and answers by a fact of its own. */
export interface SagaStep<Step extends string = string> {
  readonly name: Step;
  /** The service whose event answers. A deadline waits until everything that it told before the due time was heard. */
  readonly decidedBy: string;
  /** Milliseconds from the ask after which a missing answer turns the saga back. */
  readonly withinMs: number;
  /**
   * True where "refused" says something about the last attempt only, and an earlier one may have taken something: the
   * step is then undone like one that succeeded. Otherwise a refused step took nothing.
   */
  readonly refusalMayHaveTaken?: boolean;
  /** In a choreographed saga: earlier steps of which nothing is left, either, once this one is refused. */
  readonly refusalUndoes?: readonly Step[];
  /** Absent where the undo of an earlier step gives back what this one took. */
  readonly undo?: SagaUndo;
}

export interface SagaUndo {
  /** Milliseconds that the saga waits for the undo before it goes on without knowing; 0: it does not wait at all. */
  readonly withinMs: number;
  /** Milliseconds after which a person is called for an undo that the saga went on without and that is still not known to be done. */
  readonly callAfterMs: number;
  /**
   * Undos of neighbouring steps that bear the same name here are asked by one fact, at once, and waited for together: their
   * answers may come in any order. Absent: the undo is asked alone.
   */
  readonly askedBy?: string;
}

/**
 * Where a saga stands. `owed` are the undos that were asked, that the saga no longer waits for, and that are not known to
 * be done. They do not hold its end open, but they are never forgotten.
 */
export type Progress<Step extends string = string> =
  | { readonly phase: "forward"; readonly step: Step; readonly owed: readonly [] }
  | { readonly phase: "completed"; readonly owed: readonly [] }
  /** `steps` are those whose undos are waited for, latest first; never none. */
  | { readonly phase: "backward"; readonly steps: readonly Step[]; readonly owed: readonly Step[] }
  | { readonly phase: "undone"; readonly owed: readonly Step[] };

/** The name of something a saga waits for: a step's answer, an undo's answer, or an undo that is still owed. */
export type Wait<Step extends string = string> = Step | `undo ${Step}` | `owed ${Step}`;

export type Signal<Step extends string = string> =
  /** The step happened, for certain. */
  | { readonly kind: "succeeded"; readonly step: Step }
  /** The step did not happen and will not. */
  | { readonly kind: "refused"; readonly step: Step }
  /** Nothing of the step is left, for certain. */
  | { readonly kind: "undone"; readonly step: Step }
  /** The undo is under way and whether it is done is not known yet. */
  | { readonly kind: "undo-unknown"; readonly step: Step }
  /** The bound of a wait has passed, and the deciding service was heard up to it. */
  | { readonly kind: "overdue"; readonly wait: Wait<Step> }
  /** Somebody wants all of it undone. */
  | { readonly kind: "withdraw" };

/** What follows from a signal. */
export interface Move<Step extends string = string> {
  readonly progress: Progress<Step>;
  /** This step is to be asked now. */
  readonly ask?: Step;
  /** The undos of these steps are to be asked now, in this order. */
  readonly undo: readonly Step[];
  /** The saga reached an end by this signal. A completed one can still be withdrawn. */
  readonly ended?: "completed" | "undone";
  /** The undo of this step was owed, and is known to be done now. */
  readonly settled?: Step;
  /** The undo of this step is owed for too long: a person is to look. */
  readonly call?: Step;
}

export interface PendingWait<Step extends string = string> {
  readonly wait: Wait<Step>;
  readonly decidedBy: string;
  readonly withinMs: number;
}

export interface Saga<Step extends string = string> {
  readonly name: string;
  readonly steps: readonly SagaStep<Step>[];
  /** Milliseconds within which a saga has ended, whatever is answered: every step and every undo at its bound. */
  readonly boundMs: number;
  /** How a saga begins: its first step is to be asked. */
  readonly start: Move<Step> & { readonly ask: Step };
  advance(progress: Progress<Step>, signal: Signal<Step>): Move<Step>;
  /** Everything that a saga at this point waits for, each with its bound. */
  waits(progress: Progress<Step>): readonly PendingWait<Step>[];
  /** Progress as one readable word or a few, for a column; and back. `parse` throws for what no saga of this kind can be at. */
  format(progress: Progress<Step>): string;
  parse(text: string): Progress<Step>;
}

export interface SagaSpecification<Step extends string> {
  readonly name: string;
  /** True: the services go on by what they tell each other, and the saga follows. Absent: it asks them. */
  readonly choreographed?: boolean;
  readonly steps: readonly [SagaStep<Step>, ...SagaStep<Step>[]];
}

/** Defines a saga from its steps, in the order in which they are asked. */
export function defineSaga<const Step extends string>({
  name,
  steps,
  choreographed = false,
}: SagaSpecification<Step>): Saga<Step> {
  refuseUnfit(name, steps);
  const machine = choreographed ? new FollowingMachine(steps) : new StepMachine(steps);
  const first = steps[0].name;
  const parsed = new Map<string, Progress<Step>>();
  return {
    name,
    steps,
    boundMs: steps.reduce((sum, step) => sum + step.withinMs, 0) + machine.undoBoundMs(),
    start: { progress: { phase: "forward", step: first, owed: [] }, ask: first, undo: [] },
    advance: (progress, signal) => machine.advance(progress, signal),
    waits: (progress) => machine.waits(progress),
    format,
    parse(text) {
      const known = parsed.get(text) ?? machine.parse(text);
      parsed.set(text, known);
      return known;
    },
  };
}

function refuseUnfit(saga: string, steps: readonly SagaStep[]): void {
  const names = new Set(steps.map((step) => step.name));
  if (names.size !== steps.length) throw new Error(`Two steps of the saga ${saga} have one name.`);
  // A step's name is part of what `format` writes, where these separate one word from the next.
  const unfit = steps.find((step) => !/^[a-z]+(-[a-z]+)*$/.test(step.name));
  if (unfit) throw new Error(`${unfit.name} is not a step name like "reserve-stock".`);
  const boundless = steps.find(
    (step) => !(step.withinMs > 0) || (step.undo && !(step.undo.withinMs >= 0 && step.undo.callAfterMs > 0)),
  );
  if (boundless) throw new Error(`The step ${boundless.name} of the saga ${saga} has no bound.`);
  const asks = steps.flatMap(({ undo }) => (undo ? [undo.askedBy] : []));
  const torn = asks.find((ask, at) => ask !== undefined && asks.indexOf(ask) !== at && asks[at - 1] !== ask);
  if (torn !== undefined) throw new Error(`Between the undos asked by ${torn} the saga ${saga} has another.`);
  const unawaited = steps.find(({ undo }) => undo?.askedBy !== undefined && undo.withinMs === 0);
  if (unawaited) throw new Error(`The undo of ${unawaited.name} is asked by a fact of its own, but not waited for.`);
}

function format(progress: Progress): string {
  const place = placeOf(progress);
  return progress.owed.length === 0 ? place : `${place} owed ${progress.owed.join(",")}`;
}

function placeOf(progress: Progress): string {
  switch (progress.phase) {
    case "forward":
      return `forward ${progress.step}`;
    case "backward":
      return `backward ${progress.steps.join(",")}`;
    case "completed":
    case "undone":
      return progress.phase;
  }
}

class StepMachine<Step extends string> {
  protected readonly steps: readonly SagaStep<Step>[];
  readonly #position: ReadonlyMap<string, number>;

  constructor(steps: readonly SagaStep<Step>[]) {
    this.steps = steps;
    this.#position = new Map(steps.map((step, index) => [step.name, index]));
  }

  advance(progress: Progress<Step>, signal: Signal<Step>): Move<Step> {
    switch (progress.phase) {
      case "forward":
        return this.forward(progress, signal);
      case "completed":
        return signal.kind === "withdraw" ? this.turnBack(this.steps.length - 1, []) : unmoved(progress);
      case "backward":
        return this.backward(progress, signal);
      case "undone":
        return this.settle(progress, signal);
    }
  }

  waits(progress: Progress<Step>): PendingWait<Step>[] {
    const owed = progress.owed.map((name) => this.#waitFor(name, "owed"));
    switch (progress.phase) {
      case "forward":
        return [this.#waitFor(progress.step, "step")];
      case "backward":
        return [...progress.steps.map((name) => this.#waitFor(name, "undo")), ...owed];
      case "completed":
      case "undone":
        return owed;
    }
  }

  parse(text: string): Progress<Step> {
    const [, phase, place, owedText] =
      /^(forward|completed|backward|undone)(?: ((?!owed)\S+))?(?: owed (\S+))?$/.exec(text) ?? [];
    const owed = (owedText?.split(",") ?? []) as Step[];
    const steps = (place?.split(",") ?? []) as Step[];
    const stepsFit = phase === "backward" ? steps.length > 0 : steps.length === (phase === "forward" ? 1 : 0);
    const owedFits = owed.length === 0 || phase === "backward" || phase === "undone";
    if (!phase || !stepsFit || !owedFits || [...steps, ...owed].some((name) => !this.#position.has(name))) {
      throw new Error(`${JSON.stringify(text)} is not where a saga can be.`);
    }
    const at = phase === "forward" ? { step: steps[0] } : phase === "backward" ? { steps } : {};
    return { phase, ...at, owed } as Progress<Step>;
  }

  /** What turning back from the last step takes at most: undos that are asked together are waited for together. */
  undoBoundMs(): number {
    const asks = new Map<string, number>();
    for (const { name, undo } of this.steps) {
      const ask = undo?.askedBy ?? name;
      asks.set(ask, Math.max(asks.get(ask) ?? 0, undo?.withinMs ?? 0));
    }
    return [...asks.values()].reduce((sum, withinMs) => sum + withinMs, 0);
  }

  protected forward(progress: Extract<Progress<Step>, { phase: "forward" }>, signal: Signal<Step>): Move<Step> {
    const at = this.positionOf(progress.step);
    switch (signal.kind) {
      case "succeeded":
        return signal.step === progress.step ? this.goOn(at + 1) : unmoved(progress);
      case "refused":
        if (signal.step !== progress.step) return unmoved(progress);
        return this.turnBack(this.step(at).refusalMayHaveTaken ? at : at - 1, []);
      case "overdue":
        return signal.wait === progress.step ? this.turnBack(at, []) : unmoved(progress);
      case "withdraw":
        return this.turnBack(at, []);
      // Nobody has asked for an undo.
      case "undone":
      case "undo-unknown":
        return unmoved(progress);
    }
  }

  protected backward(progress: Extract<Progress<Step>, { phase: "backward" }>, signal: Signal<Step>): Move<Step> {
    const { steps, owed } = progress;
    const undone = steps.find((step) => this.tellsUndone(signal, step));
    if (undone !== undefined) return this.without(undone, steps, owed);
    const unknown = steps.find(
      (step) =>
        (signal.kind === "undo-unknown" && signal.step === step) ||
        (signal.kind === "overdue" && signal.wait === `undo ${step}`),
    );
    if (unknown === undefined) return this.settle(progress, signal);
    // Latest first, so that one situation has one name.
    const owing = [...owed, unknown].sort((one, other) => this.positionOf(other) - this.positionOf(one));
    return this.without(unknown, steps, owing);
  }

  /** One of the undos that are waited for is waited for no longer; after the last it goes on below all that were asked with it. */
  protected without(step: Step, steps: readonly Step[], owed: readonly Step[]): Move<Step> {
    const left = steps.filter((it) => it !== step);
    if (left.length > 0) return { progress: { phase: "backward", steps: left, owed }, undo: [] };
    return this.turnBack(Math.min(...this.#askedWith(this.positionOf(step))) - 1, owed);
  }

  /** Where the steps are whose undos one fact asks with that of the step at `at`, itself among them. */
  #askedWith(at: number): number[] {
    const ask = this.step(at).undo?.askedBy;
    if (ask === undefined) return [at];
    return this.steps.flatMap(({ undo }, position) => (undo?.askedBy === ask ? position : []));
  }

  /** What a signal means for the undos that are owed. */
  protected settle(
    progress: Extract<Progress<Step>, { phase: "backward" | "undone" }>,
    signal: Signal<Step>,
  ): Move<Step> {
    const settled = progress.owed.find((step) => this.tellsUndone(signal, step));
    if (settled !== undefined) {
      return { progress: { ...progress, owed: progress.owed.filter((step) => step !== settled) }, undo: [], settled };
    }
    const call = signal.kind === "overdue" ? progress.owed.find((step) => signal.wait === `owed ${step}`) : undefined;
    return call === undefined ? unmoved(progress) : { progress, undo: [], call };
  }

  /** A late refusal tells it too: the step took nothing, so nothing of it is left. */
  protected tellsUndone(signal: Signal<Step>, step: Step): boolean {
    if (signal.kind === "undone") return signal.step === step;
    return signal.kind === "refused" && signal.step === step && !this.step(this.positionOf(step)).refusalMayHaveTaken;
  }

  protected goOn(next: number): Move<Step> {
    const step = this.steps[next]?.name;
    if (step === undefined) return { progress: { phase: "completed", owed: [] }, undo: [], ended: "completed" };
    return { progress: { phase: "forward", step, owed: [] }, ask: step, undo: [] };
  }

  /** Asks the undos from step `from` downwards, as far as the first that is waited for. */
  protected turnBack(from: number, owedBefore: readonly Step[]): Move<Step> {
    const undo: Step[] = [];
    const owed = [...owedBefore];
    for (let at = from; at >= 0; at--) {
      const step = this.step(at);
      if (!step.undo) continue;
      if (step.undo.withinMs > 0) {
        const steps = this.#askedWith(at)
          .filter((position) => position <= at)
          .reverse()
          .map((position) => this.step(position).name);
        return { progress: { phase: "backward", steps, owed }, undo: [...undo, ...steps] };
      }
      undo.push(step.name);
      owed.push(step.name);
    }
    return { progress: { phase: "undone", owed }, undo, ended: "undone" };
  }

  #waitFor(name: Step, of: "step" | "undo" | "owed"): PendingWait<Step> {
    const { decidedBy, withinMs, undo } = this.step(this.positionOf(name));
    if (of === "step") return { wait: name, decidedBy, withinMs };
    if (of === "undo") return { wait: `undo ${name}`, decidedBy, withinMs: undo?.withinMs ?? 0 };
    return { wait: `owed ${name}`, decidedBy, withinMs: undo?.callAfterMs ?? 0 };
  }

  protected step(at: number): SagaStep<Step> {
    const step = this.steps[at];
    if (!step) throw new RangeError(`The saga has no step ${at}.`);
    return step;
  }

  protected positionOf(step: Step): number {
    const at = this.#position.get(step);
    if (at === undefined) throw new RangeError(`The saga has no step ${step}.`);
    return at;
  }
}

/**
 * Follows a saga that nobody leads. Facts of different services come in any order, but none comes about before what it
 * follows from: a step that happened says that all before it did, and one that was refused that none behind it will. The
 * services that hear a refusal undo by themselves, so only what begins here, a wish or a bound that passed, asks for undos;
 * and then for all of them, because the steps go on until their services hear of it.
 */
class FollowingMachine<Step extends string> extends StepMachine<Step> {
  protected override forward(
    progress: Extract<Progress<Step>, { phase: "forward" }>,
    signal: Signal<Step>,
  ): Move<Step> {
    const at = this.positionOf(progress.step);
    const last = this.steps.length - 1;
    switch (signal.kind) {
      case "succeeded": {
        const { ask: _, ...move } = this.goOn(this.positionOf(signal.step) + 1);
        return this.positionOf(signal.step) < at ? unmoved(progress) : move;
      }
      case "refused":
        return this.positionOf(signal.step) < at ? unmoved(progress) : this.#turnedBy(signal, progress);
      case "undone":
      case "undo-unknown":
        return this.#turnedBy(signal, progress);
      case "overdue":
        return signal.wait === progress.step ? this.turnBack(last, []) : unmoved(progress);
      case "withdraw":
        return this.turnBack(last, []);
    }
  }

  protected override backward(
    progress: Extract<Progress<Step>, { phase: "backward" }>,
    signal: Signal<Step>,
  ): Move<Step> {
    if (signal.kind !== "refused") return super.backward(progress, signal);
    let move = this.settle(progress, signal);
    for (const step of progress.steps.filter((it) => this.#isGoneBy(signal.step, it))) {
      if (move.progress.phase !== "backward") break;
      move = { ...move, ...this.without(step, move.progress.steps, move.progress.owed) };
    }
    return move;
  }

  protected override settle(
    progress: Extract<Progress<Step>, { phase: "backward" | "undone" }>,
    signal: Signal<Step>,
  ): Move<Step> {
    if (signal.kind !== "refused") return super.settle(progress, signal);
    const settled = progress.owed.find((step) => this.#isGoneBy(signal.step, step));
    if (settled === undefined) return unmoved(progress);
    const owed = progress.owed.filter((step) => !this.#isGoneBy(signal.step, step));
    return { progress: { ...progress, owed }, undo: [], settled };
  }

  /** Others have turned the saga back already: it learns so by the refusal, or by an undo that was heard before it. */
  #turnedBy(signal: Signal<Step>, progress: Progress<Step>): Move<Step> {
    const { progress: all } = this.turnBack(this.steps.length - 1, []);
    if (all.phase !== "backward") return unmoved(progress);
    const { undo: _, ...move } = this.backward(all, signal);
    if (move.progress === all && signal.kind !== "refused") return unmoved(progress);
    return { ...move, undo: [] };
  }

  /** Whether nothing of a step is left once another was refused: it comes behind it, or goes with it. */
  #isGoneBy(refused: Step, step: Step): boolean {
    const at = this.positionOf(refused);
    const { refusalMayHaveTaken = false, refusalUndoes = [] } = this.step(at);
    if (step === refused) return !refusalMayHaveTaken;
    return this.positionOf(step) > at || refusalUndoes.includes(step);
  }
}

const unmoved = <Step extends string>(progress: Progress<Step>): Move<Step> => ({ progress, undo: [] });
