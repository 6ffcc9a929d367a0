import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RedisServer, startRedis } from "@onsale/redis/server";
import { reapWhenWeDie } from "./reaper.ts";

/** A server whose folder goes when it is removed, or when this process dies. */
export interface ThrowAwayRedis {
  readonly directory: string;
  /** The one that runs, or ran last. */
  readonly server: RedisServer;
  /** Empty, or with what is in this file. */
  startAgain(file?: string): Promise<void>;
  remove(): Promise<void>;
}

/** `home`: the folder in which its own is made. */
export async function startThrowAwayRedis({ home = tmpdir() }: { readonly home?: string }): Promise<ThrowAwayRedis> {
  const directory = await mkdtemp(join(home, "onsale-test-redis-"));
  const reaper = reapWhenWeDie(directory);
  let server = await startRedis({ directory });
  const { port } = server;
  return {
    directory,
    get server() {
      return server;
    },
    async startAgain(file) {
      const own = join(directory, "dump.rdb");
      if (file === undefined) await rm(own, { force: true });
      else await copyFile(file, own);
      server = await startRedis({ directory, port });
    },
    async remove() {
      await server.kill();
      reaper.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
