// The notifier against a real HTTP server that answers, refuses, fails, hangs or is away.
import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";

import { signInNotifier, type NotifierOptions, type SignIn, type Trouble } from "../src/index.ts";

interface Call {
  headers: IncomingHttpHeaders;
  path: string | undefined;
  body: Record<string, string>;
}

let server: Server;
let url = "";
let calls: Call[] = [];
let troubles: Trouble[] = [];
let answer: (response: ServerResponse, call: Call, count: number) => void;

const status = (code: number, headers: Record<string, string> = {}, body: unknown = {}) => (response: ServerResponse) =>
  void response.writeHead(code, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));

before(async () => {
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      const call = { headers: request.headers, path: request.url, body: JSON.parse(text) as Record<string, string> };
      answer(response, call, calls.push(call));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => server.closeAllConnections());
after(() => void server.close());
beforeEach(() => {
  [calls, troubles, answer] = [[], [], status(202)];
});

const HEADERS = new Headers({ "x-forwarded-for": "192.0.2.1", "user-agent": "Firefox", cookie: "next-auth.state=s1" });

/** A notifier that collects its work, and the work. */
function notifier(options: Partial<NotifierOptions> = {}) {
  const work: Promise<void>[] = [];
  const made = signInNotifier({
    url,
    apiKey: "key",
    trustedProxies: 1,
    request: () => HEADERS,
    after: (send) => void work.push(send()),
    onTrouble: (trouble) => troubles.push(trouble),
    ...options,
  });
  return { ...made, done: () => Promise.all(work) };
}

const signIn = (changes: Partial<SignIn> = {}): SignIn => ({
  user: { id: "u1", email: "bat@example.com", name: "Бат" },
  account: { provider: "github", type: "oauth", providerAccountId: "42", access_token: "t1" },
  isNewUser: false,
  ...changes,
});

test("what is sent", async () => {
  const { event, done } = notifier({ preferences: () => ({ locale: "en", timeZone: "Asia/Hovd" }) });
  const began = Date.now();
  await event(signIn());
  await done();
  const [call] = calls;
  assert.equal(calls.length, 1);
  assert.equal(call?.path, "/api/jobs/signin-notification");
  assert.equal(call?.headers.authorization, "Bearer key");
  const { jobId, timestamp, ...rest } = call?.body ?? {};
  assert.match(jobId ?? "", /^signin-[0-9a-f]{40}$/);
  assert.ok(Math.abs(Date.parse(timestamp ?? "") - began) < 5000);
  assert.deepEqual(rest, {
    userId: "u1", email: "bat@example.com", name: "Бат", provider: "github",
    ipAddress: "192.0.2.1", userAgent: "Firefox", locale: "en", timeZone: "Asia/Hovd",
  });
  assert.deepEqual(troubles, []);
});

test("both hooks of one sign-in make one call; the same flow in another process has the same id", async () => {
  const first = notifier();
  const message = signIn();
  assert.equal(await first.callback()(message), true);
  await first.event(message);
  await first.done();
  assert.equal(calls.length, 1);
  const second = notifier();
  await second.event(signIn());
  await second.done();
  assert.equal(calls[1]?.body["jobId"], calls[0]?.body["jobId"]);
});

test("a callback of one's own decides, and is heard first", async () => {
  const { callback, done } = notifier();
  const failure = new Error("no");
  for (const outcome of [false, "/blocked", ""]) assert.equal(await callback(() => outcome)(signIn()), outcome);
  await assert.rejects(callback(() => Promise.reject(failure))(signIn()), failure);
  await done();
  assert.equal(calls.length, 0);
  assert.equal(await callback(async () => true)(signIn()), true);
  await done();
  assert.equal(calls.length, 1);
});

test("asking for a magic link is no sign-in", async () => {
  const { callback, done } = notifier();
  assert.equal(await callback()(signIn({ email: { verificationRequest: true } })), true);
  await done();
  assert.equal(calls.length, 0);
});

test("sign-ins that the app skips, and an app without a url", async () => {
  const skipping = notifier({ skip: ({ isNewUser }) => isNewUser === true });
  await skipping.event(signIn({ isNewUser: true }));
  await notifier({ url: undefined }).event(signIn());
  assert.deepEqual([calls, troubles], [[], []]);
});

test("an API that is busy is asked again with the same id, and 409 is a success", async () => {
  answer = (response, call, count) => status(count === 1 ? 500 : count === 2 ? 503 : 409)(response);
  const { event, done } = notifier();
  await event(signIn());
  await done();
  assert.equal(calls.length, 3);
  assert.equal(new Set(calls.map(({ body }) => body["jobId"])).size, 1);
  assert.deepEqual(troubles, []);
});

test("a connection that is cut is tried again", async () => {
  answer = (response, call, count) => (count < 3 ? void response.destroy() : status(202)(response));
  const { event, done } = notifier();
  await event(signIn());
  await done();
  assert.deepEqual([calls.length, troubles], [3, []]);
});

test("attempts are bounded", async () => {
  answer = status(500);
  const { event, done } = notifier({ attempts: 2 });
  await event(signIn());
  await done();
  assert.equal(calls.length, 2);
  assert.deepEqual(troubles.map(({ kind, status }) => [kind, status]), [["unreachable", 500]]);
});

test("an API that hangs is given up in time, and holds nobody", async () => {
  answer = () => undefined;
  const { event, done } = notifier({ timeout: 300, attemptTimeout: 100 });
  const began = performance.now();
  await event(signIn());
  assert.ok(performance.now() - began < 50);
  await done();
  const took = performance.now() - began;
  assert.ok(took >= 90 && took < 2000, `${took} ms`);
  assert.deepEqual(troubles.map(({ kind }) => kind), ["unreachable"]);
  assert.match(troubles[0]?.message ?? "", /did not answer in time/);
});

test("without after the sign-in does not wait either", async () => {
  const answered = new Promise<ServerResponse>((resolve) => (answer = resolve));
  const { event } = notifier({ after: undefined });
  await event(signIn());
  assert.equal(calls.length, 0); // it has not even begun
  status(202)(await answered);
});

test("one attempt that hangs leaves time for the next", async () => {
  answer = (response, call, count) => (count === 1 ? undefined : status(202)(response));
  const { event, done } = notifier({ attemptTimeout: 100, timeout: 30_000 });
  await event(signIn());
  await done();
  assert.deepEqual([calls.length, troubles], [2, []]);
});

test("an answer that never ends is given up in time too", async () => {
  answer = (response) => void response.writeHead(202).write("{");
  const { event, done } = notifier({ timeout: 200, attempts: 1 });
  const began = performance.now();
  await event(signIn());
  await done();
  assert.ok(performance.now() - began < 1900); // an attempt alone has 2 s
  assert.deepEqual(troubles.map(({ kind }) => kind), ["unreachable"]);
});

test("an API that is away is a trouble that says so", async () => {
  const { event, done } = notifier({ url: "http://127.0.0.1:1", timeout: 200 });
  await event(signIn());
  await done();
  assert.deepEqual(troubles.map(({ kind }) => kind), ["unreachable"]);
  assert.match(troubles[0]?.message ?? "", /could not be reached/);
});

test("a Retry-After beyond the time ends it at once", async () => {
  answer = status(429, { "Retry-After": "1800" });
  const { event, done } = notifier();
  const began = performance.now();
  await event(signIn());
  await done();
  assert.ok(performance.now() - began < 1000);
  assert.equal(calls.length, 1);
  assert.deepEqual(troubles.map(({ kind }) => kind), ["limited"]);
});

test("a field that the API does not take does not keep the mail away", async () => {
  answer = (response, { body }) => status("locale" in body ? 400 : 202, {}, { errors: [{ field: "locale" }] })(response);
  const { event, done } = notifier({ preferences: () => ({ locale: "!" }) });
  await event(signIn());
  await done();
  assert.equal(calls.length, 2);
  assert.deepEqual(Object.keys(calls[1]?.body ?? {}).sort(), ["email", "jobId", "provider", "timestamp", "userId"]);
  assert.deepEqual(troubles, []);
});

test("a refusal says what to do, and repeats no address", async () => {
  const problem = { detail: "email: «bat@example.com» is no address", errors: [{ field: "email", why: "«bat@…»" }] };
  for (const [code, words] of [[400, /it does not take email/], [401, /YB_API_KEYS/], [404, /base address/], [302, /redirects/]] as const) {
    [calls, troubles, answer] = [[], [], status(code, { Location: `${url}/elsewhere` }, problem)];
    const { event, done } = notifier();
    await event(signIn());
    await done();
    assert.equal(calls.length, code === 400 ? 2 : 1);
    assert.deepEqual(troubles.map(({ kind, status }) => [kind, status]), [["refused", code]]);
    assert.match(troubles[0]?.message ?? "", words);
    assert.doesNotMatch(JSON.stringify(troubles), /bat@/);
  }
});

test("wrong options are a trouble at each sign-in and lock nobody out", async () => {
  const wrong: Partial<NotifierOptions>[] = [
    { url: "yellowbooks" }, { url: "file:///x" }, { trustedProxies: -1 }, { trustedProxies: Number.NaN },
  ];
  for (const options of wrong) assert.equal(await notifier(options).callback()(signIn()), true);
  assert.deepEqual(troubles.map(({ kind }) => kind), ["misconfigured", "misconfigured", "misconfigured", "misconfigured"]);
});

test("a user without an address, and one without a name", async () => {
  const { event, done } = notifier();
  await event(signIn({ user: { id: "u1", email: null } }));
  assert.deepEqual(troubles.map(({ kind }) => kind), ["no-email"]);
  await event(signIn({ user: { id: "u1", email: "bat@example.com", name: null } }));
  await done();
  assert.deepEqual(calls.map(({ body }) => "name" in body), [false]);
});

test("a request that cannot be read, or not at once, costs the mail its address and nothing else", async () => {
  const readers: NotifierOptions["request"][] = [
    () => { throw new Error("outside of a request"); },
    () => new Promise(() => undefined),
  ];
  for (const request of readers) {
    const { callback, done } = notifier({ request });
    const began = performance.now();
    assert.equal(await callback()(signIn()), true);
    assert.ok(performance.now() - began < 1000);
    await done();
  }
  assert.deepEqual(troubles.map(({ kind }) => kind), ["request", "request"]);
  assert.deepEqual(calls.map(({ body }) => "ipAddress" in body), [false, false]);
});

test("an address that is not known is a trouble, and the mail goes out", async () => {
  const { event, done } = notifier({ trustedProxies: 2 });
  await event(signIn());
  await done();
  assert.deepEqual([troubles.map(({ kind }) => kind), calls.length], [["no-address"], 1]);
});

test("functions of the app that fail, and an after that is not there, keep no mail away", async () => {
  const fail = () => { throw new Error("of the app"); };
  for (const onTrouble of [fail, async () => fail()]) {
    const { event } = notifier({ skip: fail, preferences: fail, after: fail, onTrouble });
    const sent = new Promise<void>((resolve) => {
      answer = (response) => (status(202)(response), resolve());
    });
    await event(signIn());
    await sent;
  }
  const { event, done } = notifier({ skip: (async () => false) as unknown as () => boolean });
  await event(signIn());
  await done();
  assert.equal(calls.length, 3);
});

test("a message that is none throws nothing", async () => {
  const { event, callback } = notifier();
  await event(undefined as unknown as SignIn);
  await event({ user: null } as unknown as SignIn);
  assert.equal(await callback()({} as SignIn), true);
  assert.deepEqual(troubles.map(({ kind }) => kind), ["internal", "internal", "internal"]);
});

test("an API that hangs does not fill the memory", async () => {
  const hanging: ServerResponse[] = [];
  answer = (response) => void hanging.push(response);
  const { event, done } = notifier({ underWay: 2, timeout: 5000 });
  for (let number = 0; number < 3; number++) await event(signIn());
  assert.deepEqual(troubles.map(({ kind }) => kind), ["overloaded"]);
  while (hanging.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const response of hanging) status(202)(response);
  await done();
  answer = status(202);
  await event(signIn());
  await done();
  assert.deepEqual([troubles.length, calls.length], [1, 3]);
});
