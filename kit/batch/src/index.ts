export { Intake, IntakeFullError, type IntakeOptions } from "./intake.ts";
