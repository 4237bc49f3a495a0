// BullMQ on Node: addBulk of 1,000, concurrency 200, completed jobs removed.
import { Queue, Worker } from 'bullmq';

const [act, url, text, more] = process.argv.slice(2);
const count = Number(text);
const { hostname, port } = new URL(url);
const connection = { host: hostname, port: Number(port) };
const userAgent =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';
const event = (n) => ({
  userId: `user-${n}`, email: `bat${n}@example.mn`, name: 'Бат-Эрдэнэ', provider: 'google', ipAddress: '203.0.113.7', userAgent,
});
const report = (found) => console.log(JSON.stringify(found));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const clock = () => performance.timeOrigin + performance.now();

if (act === 'enqueue') {
  const queue = new Queue('bench', { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  const began = performance.now();
  for (let start = 0; start < count; start += 1000) {
    const bulk = [];
    for (let n = start; n < Math.min(count, start + 1000); n++) bulk.push({ name: 'signin', data: event(n) });
    await queue.addBulk(bulk);
  }
  report({ seconds: (performance.now() - began) / 1000 });
} else if (act === 'work') {
  let done = 0;
  let began = 0;
  new Worker('bench', async () => {
    if (++done === 1) began = performance.now();
    if (done === count) { report({ seconds: (performance.now() - began) / 1000 }); process.exit(0); }
  }, { connection, concurrency: 200 });
  await sleep(600_000);
} else if (act === 'latency') {
  // One process enqueues at a rate and another would share no clock: both ends are here, as in ours.
  const rate = Number(more);
  const queue = new Queue('latency', { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  const waits = [];
  const worker = new Worker('latency', async (job) => { waits.push(clock() - job.data.at); }, { connection, concurrency: 200 });
  await worker.waitUntilReady();
  await sleep(300);
  const began = clock();
  const added = [];
  for (let n = 0; n < count; n++) {
    const ahead = began + (n * 1000) / rate - clock();
    if (ahead > 0) await sleep(ahead);
    added.push(queue.add('signin', { ...event(n), at: clock() }));
  }
  await Promise.all(added);
  while (waits.length < count) await sleep(10);
  waits.sort((a, b) => a - b);
  report({ p50: waits[Math.floor(count * 0.5)], p99: waits[Math.floor(count * 0.99)] });
} else {
  new Worker('bench', async () => {}, { connection, concurrency: 200 });
  await sleep(2000);
  report({ rss: Math.round(process.memoryUsage().rss / 1024) });
}
process.exit(0);
