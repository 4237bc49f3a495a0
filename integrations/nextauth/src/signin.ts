/** A sign-in as next-auth tells it, and as Yellow Books takes it. */

import type { Client } from "./request.ts";

/** What `events.signIn` and `callbacks.signIn` of next-auth v4 and v5 hand over, as far as it is read here. */
export interface SignIn {
  readonly user: SignInUser;
  readonly account?: SignInAccount | null | undefined;
  /** Said of the event where a database adapter is used. */
  readonly isNewUser?: boolean | undefined;
  /** Said of the callback when a magic link was asked for: nobody has signed in yet. */
  readonly email?: { readonly verificationRequest?: boolean | undefined } | null | undefined;
}

/** Who signs in. */
export interface SignInUser {
  readonly id?: string | null | undefined;
  readonly email?: string | null | undefined;
  readonly name?: string | null | undefined;
}

/** The account at the provider. */
export interface SignInAccount {
  readonly provider: string;
  readonly type: string;
  readonly providerAccountId: string;
  readonly access_token?: string | null | undefined;
  readonly id_token?: string | null | undefined;
}

/** The body of `POST /api/jobs/signin-notification`. */
export interface Notification {
  jobId: string;
  userId: string;
  email: string;
  provider: string;
  timestamp: string;
  name?: string;
  ipAddress?: string;
  userAgent?: string;
  locale?: string;
  timeZone?: string;
}

// What the API refuses in any field. A thief must not be able to keep the mail away by a strange user agent.
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Text without controls, bidi controls and the mark of an encoded word, at most `longest` characters; or undefined. */
export function clean(text: string | null | undefined, longest: number): string | undefined {
  const safe = String(text ?? "").slice(0, 2 * longest).replace(UNSAFE, "").replaceAll("=?", "= ?");
  const cut = Array.from(safe).slice(0, longest).join("").trim();
  return cut === "" ? undefined : cut;
}

/** A provider's name as the API takes it: letters, digits, spaces and . _ + -, 64 at most. */
export function providerName(provider: string | undefined): string {
  const name = (clean(provider, 64) ?? "").replace(/[^\p{L}\p{N}_ .+-]/gu, "-").replace(/^[ .+-]+/, "");
  return name === "" ? "unknown" : name;
}

/**
 * Whom the hourly limit counts.
 *
 * The user's own id where there is a stable one. The callback, which is not told `isNewUser`, may come before the user
 * exists, with an id of the provider's; and without a database v5 makes up a new id at each sign-in. There it is the
 * account at the provider.
 */
export async function userId({ user, account, isNewUser }: SignIn): Promise<string> {
  const stored = isNewUser !== undefined || account?.type === "credentials";
  const own = String(user.id ?? "");
  const atProvider = account && `${account.provider}:${account.providerAccountId}`;
  const id = atProvider && !(stored && own) ? atProvider : own || String(user.email);
  return id === clean(id, 256) ? id : `sha256:${await digest([id])}`;
}

/**
 * The id of this one sign-in: the same for both hooks and for a callback that is delivered twice.
 *
 * An OAuth flow has cookies and a code of its own; hashed with the account and its tokens they are the id. Nothing
 * else is known to differ from one sign-in to the next (some providers give the same token again), and a mail too many
 * is better than one too few: then it is random.
 */
export async function signInId(account: SignIn["account"], client: Client): Promise<string> {
  const flow = account?.type === "oauth" || account?.type === "oidc" ? client.attempt : [];
  if (!account || flow.length === 0) return `signin-${crypto.randomUUID()}`;
  // Cookies can be sent again by who owns them; the tokens cannot be had twice.
  const tokens = [account.access_token ?? "", account.id_token ?? ""];
  return `signin-${await digest([account.provider, account.providerAccountId, ...tokens, ...flow])}`;
}

/** SHA-256 over parts that cannot be told apart in another way, as 40 hexadecimal digits. */
async function digest(parts: readonly string[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash.subarray(0, 20), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
