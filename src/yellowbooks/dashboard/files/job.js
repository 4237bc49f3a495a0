// One job: why it stands where it stands, and everything that happened to it.
import { get } from "./ask.js";
import { by, el, explained, fill, state, time } from "./dom.js";
import { cancelJob, discardOne, editOne, requeueOne, reveal } from "./dlq.js";
import { banner } from "./frame.js";
import { onKey } from "./keys.js";
import { on } from "./live.js";
import { span, t, tried } from "./words.js";

const id = by("job-title").dataset.job;
const url = `/api/admin/jobs/${encodeURIComponent(id)}`;
let job = null;
let shownPayload = null;
let drawn = "";

function step(event, before) {
  const since = before ? (new Date(event.at) - new Date(before.at)) / 1000 : null;
  return el("li", { class: event.event },
    el("p", { class: "what" }, el("strong", {}, tried("event", event.event)),
      event.attempt ? el("span", { class: "soft" }, ` ${t("job.attempt", { attempt: event.attempt })}`) : null,
      time(event.at, { millis: true, day: "other" }), since === null ? null : el("span", { class: "soft" }, `+${span(since)}`)),
    event.by ? el("p", { class: "soft" }, t("job.operator", { by: event.by })) : null,
    event.nextAttemptAt ? el("p", { class: "soft" }, t("job.next"), " ", time(event.nextAttemptAt, { day: "other" })) : null,
    event.worker ? el("p", { class: "soft" }, t("job.by", { worker: event.worker })) : null,
    event.detail ? el("p", { class: event.event === "replied" ? "mono" : "" }, event.detail) : null,
    event.error ? el("p", { class: "error", lang: "en" }, event.error) : null,
    event.trace ? el("details", {}, el("summary", {}, t("job.trace")), el("pre", { tabindex: "0" }, event.trace)) : null);
}

function facts() {
  const given = [
    ["jobs.type", job.type], ["job.user", job.userId || job.userRef], ["job.request", job.requestId && el("span", { class: "mono" }, job.requestId)],
    ["jobs.attempts", `${job.attempts}/${job.maxAttempts}`], ["jobs.created", time(job.createdAt, { day: true })],
    ["job.updated", job.updatedAt && time(job.updatedAt, { day: true })],
    ["job.message", job.mail?.messageId && el("span", { class: "mono" }, job.mail.messageId)],
    ["job.subject", job.mail?.subject], ["job.reply", job.mail?.reply && el("q", { class: "mono" }, job.mail.reply)],
  ];
  fill(by("facts"), given.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, t(name)), el("dd", {}, value))));
}

function head() {
  fill(by("job-head"), el("p", { class: "explain" }, state(job.status), " ", explained(job.explain || "")),
    job.error && job.status !== "completed" && !job.explain?.includes(job.error) ? el("p", { class: "error", lang: "en" }, job.error) : null);
}

function acts() {
  const button = (name, act, given = {}) => el("button", { type: "button", ...given, onclick: act }, t(name));
  const dead = job.status === "dead";
  const waits = ["scheduled", "enqueued", "retrying", "processing"].includes(job.status);
  fill(by("job-acts"),
    dead ? button("dead.requeue", () => requeueOne(id), { class: "first", "aria-keyshortcuts": "r" }) : null,
    dead ? button("dead.edit", edit, { "aria-keyshortcuts": "e" }) : null,
    dead ? button("dead.discard", () => discardOne(id), { class: "danger", "aria-keyshortcuts": "x" }) : null,
    waits ? button("job.cancel", () => cancelJob(id).then(load), { class: "danger" }) : null);
}

async function edit() {
  if (await editOne(id)) load();
}

async function show() {
  const payload = await reveal(id);
  if (!payload) return;
  shownPayload = payload;
  drawPayload();
  by("payload").querySelector("button")?.focus();
}

function drawPayload() {
  const masked = shownPayload === null;
  if (masked && !job.payload) return fill(by("payload"), el("p", { class: "empty" }, t("job.no_payload")));
  const values = Object.entries(masked ? job.payload : shownPayload);
  return fill(by("payload"),
    el("dl", { class: masked ? "facts masked" : "facts" }, values.map(([name, value]) => el("div", {}, el("dt", {}, name),
      el("dd", { class: "mono" }, typeof value === "string" ? value : JSON.stringify(value))))),
    masked ? el("button", { type: "button", onclick: show, "aria-keyshortcuts": "v" }, t("job.reveal"))
      : el("button", { type: "button", onclick: () => { shownPayload = null; drawPayload(); by("payload").querySelector("button").focus(); } }, t("job.hide")));
}

function drawMail() {
  by("mail").hidden = !job.mail;
  const place = by("mail-body");
  if (!job.mail || place.firstChild) return;
  // What a mail is written from leaves with the job's end; only an inbox keeps the mail itself.
  if (!job.payload && !Object.hasOwn(document.body.dataset, "inbox")) return void fill(place, el("p", { class: "empty" }, t("mail.gone")));
  // The reading of a mail is in the audit trail, so it is asked for.
  const open = (form) => fill(place, el("p", { class: "switch" },
    ["html", "text"].map((one) => el("button", { type: "button", "aria-pressed": String(one === form), onclick: () => open(one) }, t(`mail.${one}`)))),
  el("iframe", { src: `${url}/mail${form === "text" ? "?form=text" : ""}`, sandbox: "", title: t("mail.title", { subject: job.mail.subject || id }) }));
  fill(place, el("p", { class: "hint" }, t("mail.hint")), el("button", { type: "button", onclick: () => open("html") }, t("mail.show")));
}

async function load() {
  try {
    job = await get(url);
  } catch (error) {
    if (!job) fill(by("job-head"), el("p", { class: "fault" }, error.message));
    return;
  }
  const [trouble] = job.trouble || [];
  banner("job", trouble ? { title: t("job.part"), text: trouble.error } : null, { kind: "warn" });
  const now = JSON.stringify(job);
  if (now === drawn) return;
  drawn = now;
  head();
  acts();
  facts();
  const events = job.timeline || [];
  fill(by("timeline"), events.map((event, n) => step(event, events[n - 1])));
  drawPayload();
  drawMail();
}

let soon = 0;
const again = () => {
  clearTimeout(soon);
  soon = setTimeout(load, 150);
};
on("job", (event) => { if (event.jobId === id) again(); });
on("opened", again);
document.addEventListener("act-over", again);
onKey(["r"], t("dead.requeue"), () => (job?.status === "dead" ? void requeueOne(id) : false));
onKey(["e"], t("dead.edit"), () => (job?.status === "dead" ? void edit() : false));
onKey(["x"], t("dead.discard"), () => (job?.status === "dead" ? void discardOne(id) : false));
onKey(["v"], t("job.reveal"), () => (job && shownPayload === null && job.payload ? void show() : false));
load();
