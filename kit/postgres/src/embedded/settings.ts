/**
 * How the embedded server is set. Durability (fsync, synchronous_commit, full_page_writes) is PostgreSQL's default and
 * is not named here. Given on the command line, so that no file on disk can contradict the program.
 */
export const serverSettings: Readonly<Record<string, string>> = {
  // Loopback, beside the Unix socket in the server's own folder: for tools, and for what can't use the socket.
  listen_addresses: "127.0.0.1",

  // Outboxes can be read from the log through logical replication slots without a restart into another wal_level.
  wal_level: "logical",
  // A slot whose reader went away must not fill the disk; the reader falls back to the outbox table.
  max_slot_wal_keep_size: "4GB",
  // A slot and a sender for each reader of a lane: a shop of 17 services has about 50 of them.
  max_replication_slots: "100",
  max_wal_senders: "100",
  // Prepared transactions of applications beside Onsale in this database; the outbox reader is tested against them.
  max_prepared_transactions: "16",

  // Each service has a pool and a line of its own (about 10 connections, times six services, times a rolling restart),
  // and tools come on top.
  max_connections: "200",
  // Holds the hot set of a shop: stock, the orders of the last hours, the tails of outboxes. Allocated as it is touched.
  shared_buffers: "256MB",
  // Rows of stock and cursors are rewritten thousands of times a second; a minute between vacuums lets them bloat.
  autovacuum_naptime: "15s",
  // Services pin their plans and never look at statistics; while a shop's tables grow by a tenth between two naps, samples
  // of 30,000 rows of each took up to 7 % of the processor. These are of 3,000.
  default_statistics_target: "10",
  // The first change of each page after a checkpoint writes the whole page to the log. With the default of 1 GB a busy shop
  // checkpoints twice a minute, and its log grows by half. A crash recovers 4 GB in well under a minute.
  max_wal_size: "4GB",
  // A new file of the log is not filled with zeros first: whoever needed the next one did so, 16 MB of it, and every commit of
  // the server waited 20 to 40 ms, several times a second under an import. Old files are used again; a young server makes each.
  wal_init_zero: "off",
  // What a backend has written is handed on to the disk bit by bit. Written back by the system in one go, it held up commits for
  // a tenth of a second.
  backend_flush_after: "512kB",

  // For passwords that people choose. The administrator's own was hashed with fewer when the cluster was made.
  scram_iterations: "4096",

  // A session whose client was killed ends within this time even while it waits for a lock.
  client_connection_check_interval: "2s",

  // Messages must be readable by this program (it looks for a few of them), and by people anywhere.
  lc_messages: "C",
  timezone: "UTC",
  log_timezone: "UTC",
  log_line_prefix: "%m [%p] %a ",
  // Details and statements of errors quote values of rows, which may be personal.
  log_error_verbosity: "terse",
  log_min_error_statement: "panic",
};
