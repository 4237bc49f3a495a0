// The list of jobs: filtered by the server, a page at a time, so that a hundred thousand are as quick as ten.
import { get, query } from "./ask.js";
import { by, el, fill, jobLink, row, state, time } from "./dom.js";
import "./frame.js";
import { onKey } from "./keys.js";
import { on } from "./live.js";
import { Pager } from "./pager.js";
import { t } from "./words.js";

const PAGE = 50;
const FIELDS = ["status", "type", "since", "until", "error"];
const form = by("filter");
const table = by("jobs");

function wanted() {
  const values = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()]));
  for (const name of ["since", "until"]) {
    if (values[name]) values[name] = new Date(values[name]).toISOString();
  }
  return values;
}

function line(job) {
  return row(table, [
    jobLink(job.jobId), state(job.status),
    el("span", {}, el("span", { class: "kind" }, job.type), job.userId || job.userRef ? el("span", { class: "soft under" }, job.userId || job.userRef) : null),
    `${job.attempts}/${job.maxAttempts}`, time(job.createdAt, { day: "other" }),
    job.error ? el("span", { class: "error", lang: "en" }, job.error) : "–",
  ]);
}

const pager = new Pager({
  ask: (cursor) => get(`/api/admin/jobs${query({ ...wanted(), cursor, limit: PAGE })}`),
  show: (page) => {
    fill(table.tBodies[0], page.jobs.map(line));
    by("jobs-words").textContent = page.jobs.length ? t("jobs.shown", { count: page.jobs.length }) : t("jobs.none");
    table.hidden = !page.jobs.length;
  },
  failed: (error) => { by("jobs-words").textContent = error.message; },
  next: (page) => page.next,
  table,
});

function local(at) {
  const moment = new Date(at);
  return Number.isNaN(moment.getTime()) ? "" : new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}

function fromAddress() {
  const given = new URLSearchParams(location.search);
  for (const name of FIELDS) {
    const value = given.get(name) || "";
    form.elements[name].value = value && ["since", "until"].includes(name) ? local(value) : value;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  history.pushState(null, "", `/dashboard/jobs${query(wanted())}`);
  pager.first();
});
form.elements.status.addEventListener("change", () => form.requestSubmit());
by("clear").addEventListener("click", () => {
  for (const name of FIELDS) form.elements[name].value = "";
  form.requestSubmit();
});
addEventListener("popstate", () => { fromAddress(); pager.first(); });

let fresh = 0;
on("job", () => {
  if (fresh || !pager.atFirst) return;
  fresh = setTimeout(() => { fresh = 0; pager.again(); }, 2000);
});

onKey(["."], t("pager.older"), () => pager.older());
onKey([","], t("pager.newer"), () => pager.newer());

get("/api/admin/kinds").then(({ kinds }) => fill(by("kinds"), kinds.map((one) => el("option", { value: one.kind }))), () => undefined);
fromAddress();
pager.first();
