// BullMQ on Node, 20 at once, its lock of 30 s: jobs of 20 ms, to be killed.
import { appendFileSync } from 'node:fs';
import { Queue, Worker } from 'bullmq';

const [, , act, url, count, journal] = process.argv;
const { hostname, port } = new URL(url);
const connection = { host: hostname, port: Number(port) };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

if (act === 'enqueue') {
  const queue = new Queue('kills', { connection, defaultJobOptions: { removeOnComplete: true, attempts: 5 } });
  const jobs = Array.from({ length: Number(count) }, (_, number) => ({ name: 'handle', data: { number } }));
  await queue.addBulk(jobs);
  process.exit(0);
}
new Worker('kills', async (job) => {
  await sleep(20);
  appendFileSync(journal, `${job.data.number}\n`);
}, { connection, concurrency: 20 });
