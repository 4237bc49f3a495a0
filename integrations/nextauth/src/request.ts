/** What a request tells of the client: its address, its browser, and what is unique to this sign-in. */

import { clientAddress, parseAddress } from "./address.ts";
import { PEER_HEADER, peersAreKept } from "./peers.ts";

/** What carries a request's headers: `headers()` of next/headers, a `Request`, or the `req` of an API route. */
export type RequestLike = HeadersLike | { readonly headers: HeadersLike };

type HeadersLike = { get(name: string): string | null } | HeaderRecord;
type HeaderRecord = Readonly<Record<string, string | readonly string[] | undefined>>;

/** How to find the client's address. */
export interface Trust {
  /**
   * How many proxies of yours stand before the app, each of which appends to X-Forwarded-For: 0 for none, 1 for one
   * nginx, load balancer or Vercel, 2 for a CDN before a load balancer.
   */
  readonly trustedProxies: number;
  /** A header that your outermost proxy always overwrites, such as `cf-connecting-ip`; goes before X-Forwarded-For. */
  readonly clientAddressHeader?: string | undefined;
}

/** What was found; undefined where it was not there or could not be trusted. */
export interface Client {
  readonly ipAddress: string | undefined;
  readonly userAgent: string | undefined;
  /** Values that no other sign-in has: the sealed state, verifier and nonce of this OAuth flow, and its code. */
  readonly attempt: readonly string[];
}

export const NOBODY: Client = { ipAddress: undefined, userAgent: undefined, attempt: [] };

// next-auth.state, __Secure-authjs.pkce.code_verifier and so on: a new value for each flow, in both versions.
const FLOW_COOKIE = /^(?:__Secure-|__Host-)?(?:next-auth|authjs)\.(?:state|nonce|pkce\.code_verifier)(?:\.\d+)?$/;

/** Reads a request. Gives `NOBODY` for what is no request. */
export function readClient(request: RequestLike | null | undefined, trust: Trust): Client {
  if (request === null || request === undefined) return NOBODY;
  const header = headerReader(request);
  return {
    ipAddress: addressOf(request, header, trust),
    userAgent: header("user-agent"),
    attempt: [...flowCookies(header("cookie") ?? ""), ...urlCode(request)],
  };
}

type Reader = (name: string) => string | undefined;

function headerReader(request: RequestLike): Reader {
  const inner = (request as { headers?: unknown }).headers;
  const itself = typeof (request as { get?: unknown }).get === "function";
  const headers = (itself || typeof inner !== "object" || inner === null ? request : inner) as HeadersLike;
  if (typeof headers.get === "function") {
    const { get } = headers as { get(name: string): string | null };
    return (name) => get.call(headers, name) ?? undefined;
  }
  const record = headers as HeaderRecord;
  return (name) => {
    const value = record[name];
    return typeof value === "string" || value === undefined ? value : value.join(", ");
  };
}

function addressOf(request: RequestLike, header: Reader, trust: Trust): string | undefined {
  const { clientAddressHeader: own } = trust;
  if (own !== undefined) return parseAddress(header(own.toLowerCase()) ?? "");
  const { socket } = request as { socket?: { remoteAddress?: string | undefined } | null };
  const peer = socket?.remoteAddress ?? (peersAreKept() ? header(PEER_HEADER) : undefined);
  return clientAddress(header("x-forwarded-for") ?? "", peer, trust.trustedProxies);
}

function flowCookies(cookie: string): string[] {
  const pairs = cookie.split(";").map((pair) => pair.trim());
  return pairs.filter((pair) => FLOW_COOKIE.test(pair.slice(0, pair.indexOf("=")))).sort();
}

function urlCode(request: RequestLike): string[] {
  const { url } = request as { url?: unknown };
  if (typeof url !== "string" || !URL.canParse(url, "http://localhost")) return [];
  const code = new URL(url, "http://localhost").searchParams.get("code");
  return code === null ? [] : [`code=${code}`];
}
