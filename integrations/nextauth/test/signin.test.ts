// Who it was, and that one sign-in is one id.
import assert from "node:assert/strict";
import { test } from "node:test";

import { NOBODY } from "../src/request.ts";
import { clean, providerName, signInId, userId } from "../src/signin.ts";

const ACCOUNT = { provider: "github", type: "oauth", providerAccountId: "42", access_token: "t1" };
const USER = { id: "u1", email: "bat@example.com" };
const flow = (...attempt: string[]) => ({ ...NOBODY, attempt });

test("the same flow is the same id, in another process too", async () => {
  const id = await signInId({ ...ACCOUNT }, flow("state=1"));
  assert.match(id, /^signin-[0-9a-f]{40}$/);
  assert.equal(await signInId({ ...ACCOUNT }, flow("state=1")), id);
});

test("another flow, account, provider or token is another id", async () => {
  const ids = await Promise.all([
    signInId(ACCOUNT, flow("state=1")),
    signInId(ACCOUNT, flow("state=2")),
    signInId(ACCOUNT, flow("state=1", "code=1")),
    signInId({ ...ACCOUNT, providerAccountId: "43" }, flow("state=1")),
    signInId({ ...ACCOUNT, provider: "gitlab" }, flow("state=1")),
    signInId({ ...ACCOUNT, access_token: "t2" }, flow("state=1")),
    signInId({ ...ACCOUNT, access_token: "", id_token: "t1" }, flow("state=1")),
  ]);
  assert.equal(new Set(ids).size, ids.length);
});

test("where nothing tells one sign-in from the next, each has an id of its own", async () => {
  for (const account of [ACCOUNT, { ...ACCOUNT, type: "credentials" }, null]) {
    const client = account?.type === "oauth" ? NOBODY : flow("state=stale");
    assert.notEqual(await signInId(account, client), await signInId(account, client));
  }
});

test("the user's own id where there is a database, or a password", async () => {
  assert.equal(await userId({ user: USER, account: ACCOUNT, isNewUser: false }), "u1");
  assert.equal(await userId({ user: USER, account: { ...ACCOUNT, type: "credentials" } }), "u1");
});

test("the callback, and an app without a database, have the account at the provider", async () => {
  assert.equal(await userId({ user: USER, account: ACCOUNT }), "github:42");
});

test("without an account it is the user's id, then the address", async () => {
  assert.equal(await userId({ user: USER }), "u1");
  assert.equal(await userId({ user: { email: "bat@example.com" } }), "bat@example.com");
});

test("an id that the API would refuse is hashed, and stays the same", async () => {
  const odd = { user: { id: "x".repeat(300), email: "b@example.com" }, isNewUser: true };
  assert.match(await userId(odd), /^sha256:[0-9a-f]{40}$/);
  assert.equal(await userId(odd), await userId(odd));
});

test("text that the API would refuse is cleaned, so that it keeps no mail away", () => {
  assert.equal(clean("Бат\r\nBcc: x", 256), "БатBcc: x");
  assert.equal(clean("=?utf-8?q?x?= =\u202e?", 256), "= ?utf-8?q?x?= = ?");
  assert.equal(clean("\ud800a\udc00", 256), "a");
  assert.equal(clean("🙂".repeat(300), 256), "🙂".repeat(256));
  assert.equal(clean("\u0000 ", 256), undefined);
  assert.equal(clean(null, 256), undefined);
});

test("a provider's name is one that the API takes", () => {
  assert.equal(providerName("azure-ad"), "azure-ad");
  assert.equal(providerName("https://x/y"), "https---x-y");
  assert.equal(providerName("-"), "unknown");
  assert.equal(providerName("x".repeat(99)).length, 64);
  assert.equal(providerName(undefined), "unknown");
});
