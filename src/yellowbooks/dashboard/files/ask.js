// The API, asked as the operator who opened the page: the browser adds the session, and the page its token.
import { t } from "./words.js";

const csrf = document.querySelector('meta[name="csrf"]')?.content;

export class Refused extends Error {
  constructor(status, body) {
    super(body.detail || t("fault.status", { status }));
    this.status = status;
    this.faults = Array.isArray(body.errors) ? body.errors : [];
  }
}

async function ask(method, path, body, signal) {
  let reply;
  try {
    reply = await fetch(path, {
      method, signal, cache: "no-store",
      headers: {
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(csrf && method !== "GET" ? { "X-CSRF-Token": csrf } : {}),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { detail: t("fault.silent") });
  }
  let answer = {};
  try {
    answer = await reply.json();
  } catch { /* not JSON: a proxy's page, or nothing */ }
  if (reply.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  if (!reply.ok) throw new Refused(reply.status, answer);
  return answer;
}

export const get = (path, signal) => ask("GET", path, undefined, signal);
export const post = (path, body) => ask("POST", path, body);
export const patch = (path, body) => ask("PATCH", path, body);
export const remove = (path, body) => ask("DELETE", path, body);

export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
