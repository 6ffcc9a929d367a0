export { serverOfThisRun, type TestDatabase, type TestDatabaseContent, type TestSchema, testDatabase } from "./database.ts";
