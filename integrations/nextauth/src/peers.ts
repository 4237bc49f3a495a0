/** For an app that no proxy stands before: lets `headers()` of Next.js know the address of the socket. */

/** The header in which the address of the socket is kept. */
export const PEER_HEADER = "x-yellowbooks-peer";
// A bundler gives each entry a copy of this module; they meet in the global object.
const KEPT = Symbol.for("yellowbooks.peers");

/** Whether this process writes `PEER_HEADER` over whatever a client sent. */
export function peersAreKept(): boolean {
  return (globalThis as { [KEPT]?: boolean })[KEPT] === true;
}

interface Started {
  request: { headers: Record<string, string | string[] | undefined> };
  socket: { remoteAddress?: string | undefined };
}

/**
 * Keeps the address of each request's socket in a header that no client can write. Call it once, in `register()` of
 * instrumentation.ts, where `NEXT_RUNTIME` is `nodejs`.
 *
 * Next.js hides the socket, and takes an X-Forwarded-For that the client made up for the truth. Node tells of each
 * HTTP/1 request before anyone reads it (diagnostics channel `http.server.request.start`).
 */
export function keepPeers(): void {
  if (peersAreKept()) return;
  // By name, as a bundle for the edge runtime must not hold it; before Node 20.16 there is no such way.
  const channels = process.getBuiltinModule?.("node:diagnostics_channel");
  channels?.subscribe("http.server.request.start", (message) => {
    const { request, socket } = message as Started;
    if (socket.remoteAddress === undefined) delete request.headers[PEER_HEADER];
    else request.headers[PEER_HEADER] = socket.remoteAddress;
  });
  (globalThis as { [KEPT]?: boolean })[KEPT] = channels !== undefined;
}
