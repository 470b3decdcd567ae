#!/usr/bin/env node
// BullMQ on a Redis: bullmq.js PORT SECONDS CLIENTS WORKERS BATCH
//
// CLIENTS adders have one add (BATCH above 1: one addBulk) under way each; WORKERS workers take jobs (BATCH above 1: so many at once) and do
// nothing. What is counted are jobs completed in a window in the middle of steady work. Prints one JSON object.
"use strict";
const { Queue, Worker } = require("bullmq");

const [port, seconds, clients, workers, batch] = process.argv.slice(2).map(Number);
const connection = { host: "127.0.0.1", port };
const payload = "x".repeat(200);

let counting = false;
let adding = true;
let added = 0;
let done = 0; // in all
let completed = 0; // while counting
const OPEN_MOST = 2000; // as tests/bench/bench.h: adding does not run away from working
const waits = [];

async function add(queue) {
  while (adding) {
    if (added - done >= OPEN_MOST) {
      await pause(1);
      continue;
    }
    added += batch;
    const began = process.hrtime.bigint();
    if (batch === 1) {
      await queue.add("job", { payload });
    } else {
      await queue.addBulk(Array.from({ length: batch }, () => ({ name: "job", data: { payload } })));
    }
    if (counting) {
      waits.push(Number(process.hrtime.bigint() - began) / 1000);
    }
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// As window.c: until the queue has come to OPEN_MOST or grows no more.
async function steady() {
  let before = 0;
  for (;;) {
    await pause(500);
    const open = added - done;
    if (open >= OPEN_MOST || open <= before + OPEN_MOST / 100) {
      return;
    }
    before = open;
  }
}

async function main() {
  const queues = Array.from({ length: clients }, () => new Queue("bench", { connection }));
  const takers = Array.from(
    { length: workers },
    () => new Worker("bench", async () => "0", { connection, concurrency: batch, removeOnComplete: { count: 1000 } }),
  );
  for (const taker of takers) {
    taker.on("completed", () => {
      done += 1;
      completed += counting ? 1 : 0;
    });
    taker.on("error", () => {});
  }
  await Promise.all(takers.map((taker) => taker.waitUntilReady()));
  const adders = queues.map(add);
  await steady();
  counting = true;
  const began = process.hrtime.bigint();
  const used = process.cpuUsage();
  await pause(seconds * 1000);
  counting = adding = false;
  const took = Number(process.hrtime.bigint() - began) / 1e9;
  const spent = process.cpuUsage(used);
  waits.sort((a, b) => a - b);
  const at = (share) => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] || 0;
  if (completed === 0) {
    throw new Error("no job was completed in the window");
  }
  const result = {
    rate: completed / took,
    count: completed,
    seconds: took,
    submit_p50_us: at(0.5),
    submit_p99_us: at(0.99),
    cpu_us: { generator: (spent.user + spent.system) / Math.max(1, completed) },
    busy: (spent.user + spent.system) / 1e6 / took,
  };
  process.stdout.write(JSON.stringify(result) + "\n", () => process.exit(0));
  await Promise.all(adders);
}

main().catch((error) => {
  console.error(`bullmq.js: ${error.message}`);
  process.exit(1);
});
