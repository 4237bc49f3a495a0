/** One notification to the API: bounded in time, in attempts, and in how many are under way. */

import type { Notification } from "./signin.ts";
import type { Trouble } from "./trouble.ts";

/** Where to and how long. Times are milliseconds. */
export interface Delivery {
  readonly endpoint: string;
  readonly apiKey: string | undefined;
  /** All attempts together. */
  readonly timeout: number;
  /** One attempt. */
  readonly attemptTimeout: number;
  readonly attempts: number;
}

const FIRST_PAUSE = 100; // doubled after each attempt

/** Sends it. Gives what went wrong, or undefined where the API has the job (202, or 409: it had it before). */
export async function deliver(notification: Notification, delivery: Delivery): Promise<Trouble | undefined> {
  const end = performance.now() + delivery.timeout;
  const { jobId } = notification;
  let body = notification;
  for (let attempt = 1; ; attempt++) {
    const left = end - performance.now();
    const answer = await post(body, delivery, Math.max(1, Math.min(left, delivery.attemptTimeout)));
    if (answer.status === 202 || answer.status === 409) return undefined;
    if (answer.status === 400 && body === notification) {
      // An optional field that the API does not take must not keep the mail away.
      body = bare(notification);
      continue;
    }
    const pause = Math.max(FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + Math.random() / 2), answer.retryAfter);
    const inTime = attempt < delivery.attempts && performance.now() + pause < end;
    if (!mayPass(answer.status) || !inTime) return trouble(answer, jobId);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

interface Answer {
  status: number | undefined;
  retryAfter: number;
  text: string;
  cause?: unknown;
}

async function post(body: Notification, delivery: Delivery, milliseconds: number): Promise<Answer> {
  try {
    const response = await fetch(delivery.endpoint, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        ...(delivery.apiKey === undefined ? {} : { Authorization: `Bearer ${delivery.apiKey}` }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(Math.ceil(milliseconds)),
      redirect: "manual", // a key goes nowhere else
      cache: "no-store",
    });
    const text = (await response.text()).slice(0, 10_000); // read to its end, so that the connection is used again
    const retryAfter = Number(response.headers.get("retry-after") ?? 0) * 1000;
    return { status: response.status, retryAfter: Number.isFinite(retryAfter) ? retryAfter : 0, text };
  } catch (cause) {
    return { status: undefined, retryAfter: 0, text: "", cause };
  }
}

function mayPass(status: number | undefined): boolean {
  return status === undefined || status === 408 || status === 425 || status === 429 || status >= 500;
}

function bare({ jobId, userId, email, provider, timestamp }: Notification): Notification {
  return { jobId, userId, email, provider, timestamp };
}

function trouble({ status, text, cause }: Answer, jobId: string): Trouble {
  if (status === undefined) {
    const late = cause instanceof Error && cause.name === "TimeoutError";
    const what = late ? "did not answer in time" : "could not be reached";
    return { kind: "unreachable", message: `the API ${what}; see that it runs and that url is right`, jobId, cause };
  }
  if (status === 429) {
    return { kind: "limited", message: "the user had as many mails as YB_RATE_LIMIT allows", jobId, status };
  }
  const said = `the API answered ${status}`;
  if (mayPass(status)) return { kind: "unreachable", message: `${said}; see its log`, jobId, status };
  const advice: Record<number, string> = {
    401: "set apiKey to a key of YB_API_KEYS",
    404: "url must be the API's base address",
  };
  const otherwise = status < 400 ? "set url to where it redirects to" : `it does not take ${fields(text)}`;
  return { kind: "refused", message: `${said}; ${advice[status] ?? otherwise}`, jobId, status };
}

/** The fields that a problem document (RFC 9457) names; its reasons may quote an address, so they are left out. */
function fields(text: string): string {
  try {
    const { errors } = JSON.parse(text) as { errors?: { field?: unknown }[] };
    const names = (errors ?? []).map(({ field }) => String(field));
    return names.length > 0 ? names.join(", ") : "the request";
  } catch {
    return "the request";
  }
}
