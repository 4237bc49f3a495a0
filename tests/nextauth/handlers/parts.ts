// What the handlers of both versions share: users in memory, a server, and the links that were mailed.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { signInNotifier, type NotifierOptions, type SignIn } from "yellowbooks-nextauth";

export const { YB_URL, YB_API_KEY, GITHUB_SERVER, GITHUB_ID = "", GITHUB_SECRET = "" } = process.env;
export const SECRET = "a secret of the tests";
export const mailed = { link: "" };

/** How long the hooks took, in milliseconds. */
export const took: number[] = [];

type Hook<R> = { signIn: (message: never) => Promise<R> };
type Hooks = { events?: Hook<void>; callbacks?: Hook<boolean> };

/** The hooks of one form, timed; `banned@example.com` may not enter. */
export function hooks(form: string, options: Partial<NotifierOptions>): Hooks {
  const mayEnter = ({ user }: SignIn): boolean => user.email !== "banned@example.com";
  const notifier = signInNotifier({ url: YB_URL, apiKey: YB_API_KEY, trustedProxies: 0, ...options });
  const event = { signIn: timed(notifier.event) };
  const callback = { signIn: timed(notifier.callback(mayEnter)) };
  const forms: Record<string, Hooks> = {
    event: { events: event, callbacks: { signIn: async (message) => mayEnter(message) } },
    callback: { callbacks: callback },
    both: { events: event, callbacks: callback },
  };
  return forms[form] ?? {};
}

function timed<R>(hook: (message: SignIn) => Promise<R>): (message: never) => Promise<R> {
  return async (message) => {
    const began = performance.now();
    try {
      return await hook(message);
    } finally {
      took.push(performance.now() - began);
    }
  };
}

interface User { id: string; email: string; name?: string | null; emailVerified: Date | null }
interface Account { provider: string; providerAccountId: string; userId: string }

/** A database adapter in memory, the same for both versions. */
export function memory() {
  const users = new Map<string, User>();
  const accounts: Account[] = [];
  const links = new Set<string>();
  return {
    createUser: async (user: User) => {
      const made = { ...user, id: `db-${users.size + 1}` };
      users.set(made.id, made);
      return made;
    },
    getUser: async (id: string) => users.get(id) ?? null,
    getUserByEmail: async (email: string) => [...users.values()].find((user) => user.email === email) ?? null,
    getUserByAccount: async ({ provider, providerAccountId }: Account) => {
      const found = accounts.find((one) => one.provider === provider && one.providerAccountId === providerAccountId);
      return (found && users.get(found.userId)) ?? null;
    },
    updateUser: async (user: User) => {
      const changed = { ...users.get(user.id), ...user };
      users.set(user.id, changed);
      return changed;
    },
    linkAccount: async (account: Account) => void accounts.push(account),
    createVerificationToken: async (token: { identifier: string; token: string; expires: Date }) => {
      links.add(JSON.stringify(token));
      return token;
    },
    useVerificationToken: async ({ identifier, token }: { identifier: string; token: string }) => {
      for (const link of links) {
        const kept = JSON.parse(link) as { identifier: string; token: string; expires: string };
        if (kept.identifier !== identifier || kept.token !== token) continue;
        links.delete(link);
        return { ...kept, expires: new Date(kept.expires) };
      }
      return null;
    },
  };
}

/** A provider of magic links that keeps the last one. */
export const EMAIL = {
  id: "email", type: "email", name: "Email", from: "app@example.com", maxAge: 3600, server: {}, options: {},
  sendVerificationRequest: async ({ url }: { url: string }) => void (mailed.link = url),
} as const;

export const authorize = async ({ email }: Record<string, unknown>) => ({ id: `id of ${email}`, email: String(email) });

type Handle = (request: IncomingMessage, response: ServerResponse, body: string) => Promise<void>;

/** Serves on a free port of 127.0.0.1, and says which; `/link` and `/took` are for the test. */
export function serve(handle: Handle): void {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      if (request.url === "/link") response.end(mailed.link);
      else if (request.url === "/took") response.end(JSON.stringify(took));
      else void handle(request, response, body);
    });
  });
  server.listen(0, "127.0.0.1", () => console.log(`port ${(server.address() as AddressInfo).port}`));
}
