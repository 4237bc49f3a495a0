// What is an address, and whose address it is.
import assert from "node:assert/strict";
import { test } from "node:test";

import { clientAddress, parseAddress } from "../src/address.ts";

const ADDRESSES: [text: string, address: string | undefined][] = [
  ["192.0.2.1", "192.0.2.1"],
  ["  192.0.2.1\t", "192.0.2.1"],
  ["192.0.2.1:8080", "192.0.2.1"],
  ['"192.0.2.1"', "192.0.2.1"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ['"[2001:db8::1]:443"', "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1"],
  ["::1", "::1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:201", "192.0.2.1"],
  ["256.0.2.1", undefined],
  ["192.0.2", undefined],
  ["192.0.2.1.", undefined],
  ["192.0.02.1", undefined],
  ["3221225985", undefined],
  ["0x7f.1", undefined],
  ["2001:db8::1::2", undefined],
  ["2001:db8:1", undefined],
  [":", undefined],
  ["::1%", undefined],
  ["::1%2525/../x", undefined],
  ["[::1", undefined],
  ["localhost", undefined],
  ["unknown", undefined],
  ["_hidden", undefined],
  ["<script>", undefined],
  ["1.2.3.4, 5.6.7.8", undefined],
  ["", undefined],
];

for (const [text, address] of ADDRESSES) {
  test(`«${text}» is ${address ?? "no address"}`, () => assert.equal(parseAddress(text), address));
}

test("with no proxy it is the socket's address, whatever the client sent", () => {
  assert.equal(clientAddress("6.6.6.6", "192.0.2.1", 0), "192.0.2.1");
  assert.equal(clientAddress("6.6.6.6", "::ffff:192.0.2.1", 0), "192.0.2.1");
  assert.equal(clientAddress("6.6.6.6", undefined, 0), undefined);
});

test("with n proxies it is the n-th entry from the right", () => {
  const forwarded = "6.6.6.6, 192.0.2.1, 10.0.0.1";
  assert.equal(clientAddress(forwarded, "10.0.0.2", 1), "10.0.0.1");
  assert.equal(clientAddress(forwarded, "10.0.0.2", 2), "192.0.2.1");
  assert.equal(clientAddress("6.6.6.6,2001:db8::1", undefined, 1), "2001:db8::1");
});

test("a request that came past a proxy has no address that can be trusted", () => {
  assert.equal(clientAddress("192.0.2.1", "10.0.0.2", 2), undefined);
  assert.equal(clientAddress("", "10.0.0.2", 1), undefined);
});

test("garbage holds its place, and moves nobody else into it", () => {
  assert.equal(clientAddress("6.6.6.6, garbage, 10.0.0.1", undefined, 2), undefined);
  assert.equal(clientAddress("garbage, 192.0.2.1", undefined, 1), "192.0.2.1");
});
