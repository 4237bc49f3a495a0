// What each kind of request tells.
import assert from "node:assert/strict";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { keepPeers, PEER_HEADER } from "../src/peers.ts";
import { NOBODY, readClient } from "../src/request.ts";

const COOKIE = "a=b; __Secure-next-auth.state=s1; next-auth.csrf-token=c; authjs.pkce.code_verifier=p1; authjs.nonce=n1";
const FLOW = ["__Secure-next-auth.state=s1", "authjs.nonce=n1", "authjs.pkce.code_verifier=p1"];
const HEADERS = { "x-forwarded-for": "6.6.6.6, 192.0.2.1", "user-agent": "Firefox", cookie: COOKIE };

/** What a server gets from a request with these headers. */
async function received(headers: Record<string, string>, path = "/"): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const server = createServer((request, response) => {
      readClient(request, { trustedProxies: 0 }); // while the socket is open
      resolve(request);
      response.end();
    });
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      const sent = httpRequest({ host: "127.0.0.1", port, path, headers, agent: false }, (answer) => {
        answer.resume();
        answer.on("end", () => server.close());
      });
      sent.on("error", reject).end();
    });
  });
}

test("headers() of next/headers", () => {
  const client = readClient(new Headers(HEADERS), { trustedProxies: 1 });
  assert.deepEqual(client, { ipAddress: "192.0.2.1", userAgent: "Firefox", attempt: FLOW });
});

test("a Request has the code too", () => {
  const request = new Request("https://app.test/api/auth/callback/github?code=c1&state=x", { headers: HEADERS });
  const client = readClient(request, { trustedProxies: 2 });
  assert.deepEqual(client, { ipAddress: "6.6.6.6", userAgent: "Firefox", attempt: [...FLOW, "code=c1"] });
});

test("headers that have a field called headers, as those of Next.js", () => {
  const headers = Object.assign(new Headers(HEADERS), { headers: { "user-agent": "wrong" } });
  assert.equal(readClient(headers, { trustedProxies: 1 }).userAgent, "Firefox");
});

test("the req of an API route has a socket", async () => {
  const request = await received(HEADERS, "/api/auth/callback/github?code=c2");
  const client = readClient(request, { trustedProxies: 1 });
  assert.deepEqual(client, { ipAddress: "192.0.2.1", userAgent: "Firefox", attempt: [...FLOW, "code=c2"] });
});

test("a plain record, with a header that came twice", () => {
  const client = readClient({ headers: { "x-forwarded-for": ["6.6.6.6", "192.0.2.1"] } }, { trustedProxies: 1 });
  assert.deepEqual(client, { ...NOBODY, ipAddress: "192.0.2.1" });
});

test("a header that the proxy always overwrites", () => {
  const headers = new Headers({ ...HEADERS, "cf-connecting-ip": "2001:db8::7" });
  const trust = { trustedProxies: 1, clientAddressHeader: "CF-Connecting-IP" };
  assert.equal(readClient(headers, trust).ipAddress, "2001:db8::7");
  assert.equal(readClient(new Headers(HEADERS), trust).ipAddress, undefined);
});

test("nothing at all", () => {
  assert.deepEqual(readClient(undefined, { trustedProxies: 1 }), NOBODY);
  assert.deepEqual(readClient({}, { trustedProxies: 1 }), NOBODY);
});

test("the address of the socket is kept, and no client can write it", async () => {
  const forged = { [PEER_HEADER]: "6.6.6.6" };
  assert.equal(readClient(new Headers(forged), { trustedProxies: 0 }).ipAddress, undefined);
  keepPeers();
  keepPeers();
  const { headers } = await received(forged);
  assert.equal(headers[PEER_HEADER], "127.0.0.1");
  assert.equal(readClient({ headers }, { trustedProxies: 0 }).ipAddress, "127.0.0.1");
});
