import { BaseSequencer, type TestSpecification } from "vitest/node";

/** From what takes a minute to what takes milliseconds, as the names of the files say. */
const kinds = ["long", "drill", "kafka", "fault", "redis", "pg", "unit"];

/** Begins with the files that take longest: begun last, one of them would keep one worker busy while the others have nothing left. */
export class CostliestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((one, other) => rankOf(one) - rankOf(other));
  }
}

const rankOf = ({ moduleId }: TestSpecification): number =>
  kinds.indexOf(/\.(\w+)\.test\.ts$/.exec(moduleId)?.[1] ?? "");
