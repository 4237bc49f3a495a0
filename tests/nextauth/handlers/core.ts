// Auth.js, the core of next-auth v5, as a framework of web Requests has it: no headers(), no after().
import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire } from "node:module";

import { authorize, EMAIL, GITHUB_ID, GITHUB_SECRET, GITHUB_SERVER, hooks, memory, SECRET, serve } from "./parts.ts";

const [form = "event", database = ""] = process.argv.slice(2);
// The core that the v5 example has; next-auth v4 brings an older one.
const { resolve } = createRequire(new URL("../../../examples/nextjs-v5/", import.meta.url));
const load = async (name: string) => (await import(`file://${resolve(name)}`)) as any;
const [{ Auth }, { default: GitHub }, { default: Credentials }] = await Promise.all(
  ["@auth/core", "@auth/core/providers/github", "@auth/core/providers/credentials"].map(load),
);

const requests = new AsyncLocalStorage<Request>();
const options = {
  secret: SECRET,
  basePath: "/api/auth",
  trustHost: true,
  logger: { error: () => undefined },
  session: { strategy: "jwt" },
  adapter: database ? memory() : undefined,
  providers: [
    GitHub({ clientId: GITHUB_ID, clientSecret: GITHUB_SECRET, enterprise: { baseUrl: GITHUB_SERVER } }),
    Credentials({ credentials: { email: {} }, authorize }),
    ...(database ? [EMAIL] : []),
  ],
  ...hooks(form, { request: () => requests.getStore(), trustedProxies: 1 }),
};

// This server is the one trusted proxy: it appends the address that it was called from.
serve(async (request, response, body) => {
  const headers = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  headers.append("x-forwarded-for", request.socket.remoteAddress ?? "");
  const url = `http://${request.headers.host}${request.url}`;
  const asked = new Request(url, { method: request.method ?? "GET", headers, ...(body && { body }) });
  const answer: Response = await requests.run(asked, () => Auth(asked, options));
  for (const [name, value] of answer.headers) response.appendHeader(name, value);
  response.writeHead(answer.status).end(await answer.text());
});
