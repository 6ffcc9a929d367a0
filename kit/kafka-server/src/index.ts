export { type KafkaOptions, type KafkaServer, PortTakenError, startKafka } from "./broker.ts";
export { fetchJars, type RealPart } from "./jars.ts";
export { RealPartMissingError, whatIsMissing, whatKafkaLacks } from "./requirements.ts";
