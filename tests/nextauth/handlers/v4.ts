// next-auth v4 as an API route of the Pages Router has it: req and res, no headers(), no after().
import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingMessage, ServerResponse } from "node:http";

import nextAuth from "next-auth";
import gitHub from "next-auth/providers/github";
import credentials from "next-auth/providers/credentials";

import { authorize, EMAIL, GITHUB_ID, GITHUB_SECRET, GITHUB_SERVER, hooks, memory, SECRET, serve } from "./parts.ts";

const [form = "event", database = ""] = process.argv.slice(2);
// What CommonJS calls default is a field in Node's ES modules.
const inner = <T>(module: T): T => (module as { default?: T }).default ?? module;
const [NextAuth, GitHub, Credentials] = [inner(nextAuth), inner(gitHub), inner(credentials)] as any[];

// region requests
const requests = new AsyncLocalStorage<IncomingMessage>();
const request = () => requests.getStore(); // for the notifier
const handler = (req: IncomingMessage, res: ServerResponse) => requests.run(req, () => NextAuth(req, res, authOptions));
// endregion requests
const authOptions = {
  secret: SECRET,
  session: { strategy: "jwt" },
  adapter: database ? memory() : undefined,
  providers: [
    GitHub({
      clientId: GITHUB_ID,
      clientSecret: GITHUB_SECRET,
      authorization: `${GITHUB_SERVER}/login/oauth/authorize`,
      token: `${GITHUB_SERVER}/login/oauth/access_token`,
      userinfo: { url: `${GITHUB_SERVER}/api/v3/user` },
    }),
    Credentials({ credentials: { email: {} }, authorize }),
    ...(database ? [EMAIL] : []),
  ],
  ...hooks(form, { request }),
};

// What Next.js adds to Node's req and res.
serve(async (request, response, body) => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
  request.headers["x-forwarded-host"] = request.headers.host;
  request.headers["x-forwarded-proto"] = "http";
  const pairs = (request.headers.cookie ?? "").split("; ").filter(Boolean);
  const cookies = pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2));
  Object.assign(request, {
    query: { ...Object.fromEntries(searchParams), nextauth: pathname.split("/").slice(3) },
    cookies: Object.fromEntries(cookies.map(([name = "", value = ""]) => [name, decodeURIComponent(value)])),
    body: Object.fromEntries(new URLSearchParams(body)),
  });
  const added: Partial<ServerResponse> & Record<string, unknown> = {
    status: (code: number) => Object.assign(response, { statusCode: code }),
    json: (value: unknown) => response.setHeader("Content-Type", "application/json").end(JSON.stringify(value)),
    send: (value: unknown) => response.end(typeof value === "object" ? JSON.stringify(value) : value),
  };
  await handler(request, Object.assign(response, added));
});
