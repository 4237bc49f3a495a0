/**
 * Tells Yellow Books Jobs of each sign-in with next-auth v4 or Auth.js (next-auth v5).
 *
 * A notifier never throws, never waits for the API and never changes what becomes of a sign-in.
 */

import { deliver, type Delivery } from "./delivery.ts";
import { NOBODY, readClient, type Client, type RequestLike, type Trust } from "./request.ts";
import { clean, providerName, signInId, userId, type Notification, type SignIn } from "./signin.ts";
import { warn, type Trouble, type TroubleKind } from "./trouble.ts";

export type { RequestLike, SignIn, Trouble, TroubleKind };

/** Times are milliseconds. */
export interface NotifierOptions extends Trust {
  /** The base address of the API, such as `http://127.0.0.1:3333`. Not set: nothing is sent. */
  readonly url: string | undefined;
  /** A key of `YB_API_KEYS`. */
  readonly apiKey?: string | undefined;
  /** `headers` of next/headers; or a function that gives the `Request` or `req` of this sign-in. */
  readonly request?: (() => RequestLike | undefined | Promise<RequestLike | undefined>) | undefined;
  /** `after` of next/server (15.1 and newer), or `(work) => waitUntil(work())`. Not set: the work simply goes on. */
  readonly after?: ((work: () => Promise<void>) => void) | undefined;
  /** For all attempts together; 5000. */
  readonly timeout?: number | undefined;
  /** For one attempt; 2000. */
  readonly attemptTimeout?: number | undefined;
  /** How often at most; 4. */
  readonly attempts?: number | undefined;
  /** How many notifications may be under way, so that an API that hangs does not fill the memory; 500. */
  readonly underWay?: number | undefined;
  /** `mn` or `en`, and an IANA time zone, where the app knows them of the user. */
  readonly preferences?: ((signIn: SignIn) => Preferences) | undefined;
  /** Sign-ins that need no mail: an operator who looks at the site as a user, say. */
  readonly skip?: ((signIn: SignIn) => boolean) | undefined;
  /** Hears of every failure; by default it is one line on the console. */
  readonly onTrouble?: ((trouble: Trouble) => void) | undefined;
}

/** How a user reads. */
export interface Preferences {
  readonly locale?: string | undefined;
  readonly timeZone?: string | undefined;
}

/** What goes into next-auth's options. */
export interface Notifier {
  /** For `events.signIn`: after the sign-in, with the user's own id. The better of the two. */
  readonly event: (signIn: SignIn) => Promise<void>;
  /** For `callbacks.signIn`: tells it where `own`, your callback, lets the user in, and gives back what `own` gave. */
  readonly callback: <P extends SignIn, R extends boolean | string = boolean>(
    own?: (signIn: P) => R | Promise<R>,
  ) => (signIn: P) => Promise<R>;
}

const REQUEST_MS = 50; // `headers()` takes no time; a function of one's own must not hold the sign-in
const PATH = "/api/jobs/signin-notification";

/** Makes a notifier. A wrong option is a trouble at each sign-in, not an error at the start: nobody is locked out. */
export function signInNotifier(options: NotifierOptions): Notifier {
  const told = new WeakSet<object>(); // both hooks of a sign-in get the same account object
  let underWay = 0;

  const tell = (trouble: Trouble): void => {
    // A reporter that fails, at once or later, must not fail a sign-in or the process.
    new Promise((resolve) => resolve((options.onTrouble ?? warn)(trouble))).catch(() => undefined);
  };

  /** What a function of the app gives; one that fails must not keep the mail away. */
  const ask = <T>(question: (() => T) | undefined, otherwise: T): T => {
    try {
      return question ? question() : otherwise;
    } catch (cause) {
      tell({ kind: "internal", message: "skip or preferences threw an error; see its cause", cause });
      return otherwise;
    }
  };

  async function work(sending: Sending): Promise<void> {
    underWay++;
    try {
      const trouble = await deliver(await describe(sending), deliveryOf(options));
      if (trouble) tell(trouble);
    } catch (cause) {
      tell({ kind: "internal", message: "a notification was not sent; see its cause", cause });
    } finally {
      underWay--;
    }
  }

  async function notify(signIn: SignIn): Promise<void> {
    const { skip, preferences } = options;
    if (!options.url || signIn.email?.verificationRequest) return;
    if (ask(skip && (() => skip(signIn)), false) === true) return; // a promise is no yes
    if (signIn.account) {
      if (told.has(signIn.account)) return; // the other hook was here
      told.add(signIn.account);
    }
    const timestamp = new Date().toISOString();
    const fault = faultOf(signIn, options, underWay);
    if (fault) return tell(fault);
    const wishes = ask(preferences && (() => preferences(signIn)), {});
    const client = await look(options, tell);
    const send = () => work({ signIn, client, timestamp, wishes });
    if (options.after) {
      try {
        return options.after(send);
      } catch {
        // Outside of a request there is no after; the work goes on all the same.
      }
    }
    setTimeout(() => void send(), 0); // first the answer to the browser
  }

  const safely = async (signIn: SignIn): Promise<void> => {
    try {
      await notify(signIn);
    } catch (cause) {
      tell({ kind: "internal", message: "a notification was not sent; see its cause", cause });
    }
  };

  return {
    event: safely,
    callback: <P extends SignIn, R extends boolean | string = boolean>(own?: (signIn: P) => R | Promise<R>) =>
      async (signIn: P) => {
        const outcome = own ? await own(signIn) : (true as R);
        // A string is an address that the user is sent to instead.
        if (outcome && typeof outcome !== "string") await safely(signIn);
        return outcome;
      },
  };
}

/** The client, or nobody, told as a trouble, where the request cannot be read at once. */
async function look(options: NotifierOptions, tell: (trouble: Trouble) => void): Promise<Client> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`request() took longer than ${REQUEST_MS} ms`)), REQUEST_MS);
    });
    const client = readClient(options.request ? await Promise.race([options.request(), late]) : undefined, options);
    if (client.ipAddress === undefined) {
      const message = options.trustedProxies === 0
        ? "the client's address is not known; call keepPeers() in instrumentation.ts, or hand in a req with a socket"
        : `X-Forwarded-For has no address at place ${options.trustedProxies} from the right; see trustedProxies`;
      tell({ kind: "no-address", message });
    }
    return client;
  } catch (cause) {
    tell({ kind: "request", message: "the request could not be read; set request to headers of next/headers", cause });
    return NOBODY;
  } finally {
    clearTimeout(timer);
  }
}

interface Sending {
  readonly signIn: SignIn;
  readonly client: Client;
  readonly timestamp: string;
  readonly wishes: Preferences;
}

async function describe({ signIn, client, timestamp, wishes }: Sending): Promise<Notification> {
  const optional = {
    name: clean(signIn.user.name, 256),
    ipAddress: client.ipAddress,
    userAgent: clean(client.userAgent, 4096),
    locale: wishes.locale,
    timeZone: wishes.timeZone,
  };
  return {
    jobId: await signInId(signIn.account, client),
    userId: await userId(signIn),
    email: String(signIn.user.email).trim(),
    provider: providerName(signIn.account?.provider),
    timestamp,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

/** Why nothing can be sent, or undefined. */
function faultOf(signIn: SignIn, options: NotifierOptions, underWay: number): Trouble | undefined {
  const { url, trustedProxies: proxies, underWay: maximum = 500 } = options;
  if (!/^https?:/.test(url ?? "") || !URL.canParse(url ?? "")) {
    return { kind: "misconfigured", message: "url is no address of the web; for example http://127.0.0.1:3333" };
  }
  if (!Number.isInteger(proxies) || proxies < 0) {
    return { kind: "misconfigured", message: "trustedProxies is no whole number from 0; for example 1" };
  }
  if (!signIn.user.email) return { kind: "no-email", message: "the user has no e-mail address, so no mail is sent" };
  if (underWay >= maximum) {
    return { kind: "overloaded", message: `${maximum} notifications are under way; see why the API is slow` };
  }
  return undefined;
}

function deliveryOf(options: NotifierOptions): Delivery {
  return {
    endpoint: String(options.url).replace(/\/+$/, "") + PATH,
    apiKey: options.apiKey,
    timeout: options.timeout ?? 5000,
    attemptTimeout: options.attemptTimeout ?? 2000,
    attempts: options.attempts ?? 4,
  };
}
