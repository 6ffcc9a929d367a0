/** What a lab is: a failure that is made to happen, and the cures under which the same events do no harm. */

import type { RedisLocks } from "@onsale/lock";
import type { Database } from "@onsale/postgres";
import { until } from "../until.ts";
import { claims, coupons, fill, read, waiters } from "./pool.ts";

export type Figures = Readonly<Record<string, number>>;

/** Where a lab plays: a scratch database, and lock takers of two processes where there is a Redis. */
export interface Ground {
  readonly database: Database;
  readonly redis: { readonly one: RedisLocks; readonly other: RedisLocks } | undefined;
}

export interface RedisGround extends Ground {
  readonly redis: NonNullable<Ground["redis"]>;
}

interface Scene<Needs> {
  readonly needs: Needs;
  readonly play: (ground: Needs extends "redis" ? RedisGround : Ground, pool: string) => Promise<Figures>;
}

export type AnyScene = Scene<"postgres"> | Scene<"redis">;

export interface Lab {
  readonly name: string;
  /** In which figure the harm is counted: above zero in the failure, zero under every cure. */
  readonly harm: string;
  readonly without: AnyScene;
  readonly cures: Readonly<Record<string, AnyScene>>;
}

export interface LabResult {
  readonly name: string;
  readonly without: Figures;
  readonly with: Readonly<Record<string, Figures>>;
  /** The failure happened, and under none of the cures. */
  readonly shown: boolean;
}

export const onPostgres = (play: Scene<"postgres">["play"]): AnyScene => ({ needs: "postgres", play });
export const onRedis = (play: Scene<"redis">["play"]): AnyScene => ({ needs: "redis", play });

/** Plays a lab, each scene on a pool of its own. Scenes that need a Redis which is not there are left out and named. */
export async function playLab(ground: Ground, lab: Lab): Promise<{ result?: LabResult; skipped: string[] }> {
  const play = (scene: AnyScene, title: string) => playScene(ground, scene, `${lab.name}, ${title}`);
  const without = await play(lab.without, "without");
  if (without === undefined) return { skipped: [lab.name] };
  const cured: Record<string, Figures> = {};
  const skipped: string[] = [];
  for (const [title, scene] of Object.entries(lab.cures)) {
    const figures = await play(scene, title);
    if (figures === undefined) skipped.push(`${lab.name}, ${title}`);
    else cured[title] = figures;
  }
  return { result: { name: lab.name, without, with: cured, shown: isShown(lab.harm, without, cured) }, skipped };
}

/** A figure that is missing is no harm that was seen, and no cure that held. */
export function isShown(harm: string, without: Figures, cures: Readonly<Record<string, Figures>>): boolean {
  const held = Object.values(cures).map((figures) => figures[harm] === 0);
  return (without[harm] ?? 0) > 0 && held.length > 0 && held.every(Boolean);
}

async function playScene(ground: Ground, scene: AnyScene, pool: string): Promise<Figures | undefined> {
  const { redis } = ground;
  if (scene.needs === "redis" && redis === undefined) return undefined;
  await fill(ground.database, pool);
  if (scene.needs === "postgres") return await scene.play(ground, pool);
  return redis && (await scene.play({ ...ground, redis }, pool));
}

/** What is left of a pool that so many were sold from, and how many sales it has forgotten. */
export async function sold({ database }: Ground, pool: string): Promise<{ sold: number; left: number; lost: number }> {
  const [{ coupons: left }, count] = await Promise.all([read(database, pool), claims(database, pool)]);
  return { sold: count, left, lost: left - (coupons - count) };
}

/** So many have to arrive before the first goes on. */
export function meeting(size: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let arrived = 0;
  return () => {
    if (++arrived === size) resolve();
    return promise;
  };
}

// A lock is waited for within milliseconds of being asked for; this is a bound against hanging.
const waitSeenMs = 10_000;

/** Until PostgreSQL says that so many transactions wait for a lock. */
export const untilWaiting = ({ database }: Ground, count = 1): Promise<void> =>
  until(async () => (await waiters(database)) >= count, waitSeenMs);
