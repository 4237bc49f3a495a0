// BullMQ and nodemailer: `pool` keeps 20 connections; `single` is the original's way, a new connection a mail, one at a time.
import { readFileSync } from 'node:fs';
import { Queue, Worker } from 'bullmq';
import nodemailer from 'nodemailer';

const [act, url, text, smtp, path] = process.argv.slice(2);
const count = Number(text);
const { hostname, port } = new URL(url);
const connection = { host: hostname, port: Number(port) };
const userAgent =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';
const event = (n) => ({
  userId: `user-${n}`, email: `bat${n}@example.mn`, name: 'Бат-Эрдэнэ', provider: 'google', ipAddress: '203.0.113.7', userAgent,
});

if (act === 'enqueue') {
  const queue = new Queue('mails', { connection, defaultJobOptions: { removeOnComplete: true } });
  await queue.waitUntilReady();
  for (let start = 0; start < count; start += 1000) {
    const bulk = [];
    for (let n = start; n < Math.min(count, start + 1000); n++) bulk.push({ name: 'signin', data: event(n) });
    await queue.addBulk(bulk);
  }
  console.log(JSON.stringify({ count }));
  process.exit(0);
}

// The same letter as ours, its user's fields put in here: text and HTML are of the same length.
const letter = JSON.parse(readFileSync(path, 'utf8'));
const server = { host: '127.0.0.1', port: Number(new URL(smtp).port), secure: false, ignoreTLS: true };
const transport = nodemailer.createTransport(
  act === 'pool' ? { ...server, pool: true, maxConnections: 20, maxMessages: Infinity } : server,
);
let done = 0;
let began;
new Worker('mails', async (job) => {
  began ??= process.cpuUsage();
  const fill = (part) => part.replaceAll('NAME', job.data.name).replaceAll('ADDRESS', job.data.ipAddress);
  await transport.sendMail({
    from: 'Yellow Books <no-reply@example.mn>', to: job.data.email, subject: letter.subject,
    text: fill(letter.text), html: fill(letter.html),
  });
  if (++done === count) {
    const { user, system } = process.cpuUsage(began);
    setTimeout(() => { console.log(JSON.stringify({ cpu: (user + system) / count })); process.exit(0); }, 100);
  }
}, { connection, concurrency: act === 'pool' ? 100 : 1 });
