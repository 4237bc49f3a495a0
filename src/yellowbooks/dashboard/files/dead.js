// Triage of dead jobs: by cause, with the mouse or with keys, and ten seconds to change one's mind.
import { get, query } from "./ask.js";
import { by, el, fill, jobLink, row, say, time } from "./dom.js";
import { pendingJobs } from "./act.js";
import { causes, discardOne, editOne, many, requeueOne, total } from "./dlq.js";
import "./frame.js";
import { onKey } from "./keys.js";
import { on } from "./live.js";
import { number, t } from "./words.js";

const PAGE = 20;
const GROUPS = 100;
const open = new Map(); // key of a group -> the cursors of the pages that led here
let groups = [];
let drawn = "";

const keyOf = (group) => `${group.kind}\n${group.cause}\n${group.release}`;
const filterOf = (group) => (group.error !== undefined ? { error: group.error }
  : { kind: group.kind, causeIs: group.cause, ...(group.release ? { release: group.release } : {}) });
const nameOf = (group) => group.cause || t("dead.no_cause");

function button(words, act, given = {}) {
  return el("button", { type: "button", ...given, onclick: act }, words);
}

function jobRow(table, job) {
  return row(table, [
    el("span", {}, jobLink(job.jobId), job.userId || job.userRef ? el("span", { class: "soft under" }, job.userId || job.userRef) : null),
    el("span", {}, time(job.diedAt || job.processedAt || job.updatedAt, { day: "other" }), el("span", { class: "soft under" }, t("dead.after", { count: job.attempts }))),
    el("span", { class: "error", lang: "en" }, job.error || "–"),
    el("span", { class: "buttons" }, button(t("dead.requeue"), () => requeue(job.jobId), { "aria-label": `${t("dead.requeue")} ${job.jobId}` }),
      button(t("dead.edit"), () => edit(job.jobId), { "aria-label": `${t("dead.edit")} ${job.jobId}` }),
      button(t("dead.discard"), () => discard(job.jobId), { class: "danger", "aria-label": `${t("dead.discard")} ${job.jobId}` })),
  ], { "data-item": job.jobId, "data-job": job.jobId });
}

function jobsTable(group) {
  const heads = ["jobs.job", "dead.died", "jobs.error", "limits.act"];
  return el("table", { class: "list", role: "table", "aria-label": nameOf(group) },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads.map((head) => el("th", { role: "columnheader", scope: "col" }, t(head))))),
    el("tbody", { role: "rowgroup" }));
}

async function showJobs(group, place) {
  const trail = open.get(keyOf(group));
  try {
    const page = await get(`/api/admin/dlq${query({ ...filterOf(group), limit: PAGE, cursor: trail.at(-1) })}`);
    const table = jobsTable(group);
    fill(table.tBodies[0], page.jobs.map((job) => jobRow(table, job)));
    const turn = (cursor) => async () => {
      if (cursor) trail.push(cursor);
      else trail.pop();
      await showJobs(group, place);
      place.querySelector("[data-item] a")?.focus();
    };
    const following = page.nextCursor;
    fill(place, table, trail.length > 1 || following ? el("p", { class: "pager" },
      button(t("pager.newer"), turn(null), { disabled: trail.length < 2 }), button(t("pager.older"), turn(following), { disabled: !following })) : null);
  } catch (error) {
    fill(place, el("p", { class: "fault" }, error.message));
  }
}

async function toggle(group, section) {
  const key = keyOf(group);
  const place = section.querySelector(".inside");
  if (open.has(key)) open.delete(key);
  else open.set(key, [null]);
  section.querySelector(".toggle").setAttribute("aria-expanded", String(open.has(key)));
  place.hidden = !open.has(key);
  if (open.has(key)) await showJobs(group, place);
  else fill(place);
}

function groupSection(group, n) {
  const key = keyOf(group);
  const inside = el("div", { class: "inside", id: `inside-${n}`, hidden: !open.has(key) });
  const section = el("section", { class: "group", "aria-labelledby": `group-${n}` },
    el("div", { class: "head", "data-item": key, "data-group": n },
      el("div", {},
        el("h2", { id: `group-${n}` }, button([el("span", { class: "count" }, number(group.count)), " ", el("span", { class: "cause" }, nameOf(group))], () => toggle(group, section),
          { class: "toggle", "aria-expanded": String(open.has(key)), "aria-controls": `inside-${n}` })),
        el("p", { class: "soft" }, [group.kind, group.release && t("dead.release", { release: group.release })].filter(Boolean).join(" · "),
          group.newest ? [" · ", t("dead.newest"), " ", time(group.newest, { day: "other" })] : null)),
      el("div", { class: "buttons" },
        button(t("dead.requeue_group"), () => act("retry", group), { "aria-describedby": `group-${n}` }),
        button(t("dead.discard_group"), () => act("discard", group), { class: "danger", "aria-describedby": `group-${n}` }))),
    inside);
  return { section, loaded: open.has(key) ? showJobs(group, inside) : null };
}

const items = () => [...document.querySelectorAll("[data-item]")].filter((item) => item.offsetParent !== null);
const handle = (item) => item?.querySelector("a, .toggle");
const current = () => document.activeElement?.closest?.("[data-item]");

// The new list is whole before it takes the place of the old one, so that the focus has where to go.
let turn = 0;
async function draw() {
  const mine = ++turn;
  const wanted = by("error").value.trim();
  const made = groups.slice(0, GROUPS).map(groupSection);
  await Promise.all(made.map((one) => one.loaded));
  if (mine !== turn) return;
  const here = current();
  const [key, place, control] = [here?.dataset.item, here ? items().indexOf(here) : -1, document.activeElement?.textContent];
  fill(by("groups"), made.map((one) => one.section),
    groups.length > GROUPS ? el("p", { class: "hint" }, t("dead.more", { count: groups.length - GROUPS })) : null);
  by("no-dead").hidden = Boolean(groups.length) || Boolean(wanted);
  by("dead-count").textContent = groups.length ? total(groups) : "";
  by("requeue-all").disabled = by("discard-all").disabled = !groups.length;
  by("dead-words").textContent = wanted ? t("dead.matching", { count: groups[0]?.count ?? 0, wanted })
    : groups.length ? t("dead.grouped", { count: groups.length }) : "";
  for (const id of pendingJobs()) leaving(id);
  if (!here) return;
  // What had the focus may be gone: the one that took its place has it now.
  const again = items();
  const item = again.find((one) => one.dataset.item === key) || again[Math.min(place, again.length - 1)];
  const same = [...(item?.querySelectorAll("button, a") || [])].find((one) => one.textContent === control && !one.disabled);
  (same || handle(item) || by("error")).focus();
}

async function load() {
  const wanted = by("error").value.trim();
  const slow = setTimeout(() => { by("dead-words").textContent = t("dead.counting"); }, 700);
  try {
    if (wanted) {
      const { count } = await get(`/api/admin/dlq${query({ error: wanted, limit: 1 })}`);
      groups = count ? [{ kind: "", release: "", cause: t("dead.holds", { wanted }), error: wanted, count }] : [];
      if (groups.length && !open.size) open.set(keyOf(groups[0]), [null]);
    } else groups = (await causes()).causes;
  } catch (error) {
    by("dead-words").textContent = error.message;
    return;
  } finally {
    clearTimeout(slow);
  }
  const now = JSON.stringify(groups);
  if (now === drawn && groups.length && by("dead-words").textContent !== t("dead.counting")) return;
  drawn = now;
  await draw();
}

const act = async (verb, group) => many(verb, filterOf(group), t("dead.of_cause", { cause: nameOf(group) }));

// All that the page may have shown: «all» without a limit would be refused for a discard, and rightly.
const all = (verb) => many(verb, by("error").value.trim() ? { error: by("error").value.trim() } : { diedBefore: serverTime }, t("dead.of_all"));

// The row leaves the list when the ten seconds are over; until then it says so.
function leaving(id) {
  for (const item of document.querySelectorAll(`[data-job="${CSS.escape(id)}"]`)) {
    item.classList.add("leaving");
    for (const control of item.querySelectorAll("button")) control.disabled = true;
  }
}

async function requeue(id) {
  if (await requeueOne(id)) { leaving(id); say(t("act.retry_soon", { count: 1 })); next(); }
}
async function discard(id) {
  if (await discardOne(id)) { leaving(id); say(t("act.discard_soon", { count: 1 })); next(); }
}
async function edit(id) {
  if (await editOne(id)) { leaving(id); next(); }
}

function move(step) {
  const all = items();
  if (!all.length) return false;
  const place = all.indexOf(current());
  handle(all[place < 0 ? 0 : Math.min(all.length - 1, Math.max(0, place + step))]).focus();
  return undefined;
}
const next = () => { if (current()) move(1); };

function onCurrent(forGroup, forJob) {
  const item = current();
  if (!item) return false;
  if (item.dataset.job) return forJob ? void forJob(item.dataset.job) : false;
  return forGroup ? void forGroup(groups[Number(item.dataset.group)], item.closest("section")) : false;
}

onKey(["j"], t("keys.down"), () => move(1));
onKey(["k"], t("keys.up"), () => move(-1));
onKey(["o"], t("keys.open"), () => onCurrent(toggle, (id) => { location.assign(`/dashboard/jobs/${encodeURIComponent(id)}`); }));
onKey(["r"], t("keys.requeue"), () => onCurrent((group) => act("retry", group), requeue));
onKey(["e"], t("dead.edit"), () => onCurrent(null, edit));
onKey(["x"], t("keys.discard"), () => onCurrent((group) => act("discard", group), discard));
onKey(["R"], t("dead.requeue_all"), () => (groups.length ? void all("retry") : false));
onKey(["X"], t("dead.discard_all"), () => (groups.length ? void all("discard") : false));

by("requeue-all").addEventListener("click", () => all("retry"));
by("discard-all").addEventListener("click", () => all("discard"));
by("filter").addEventListener("submit", (event) => event.preventDefault());
by("reason").value = sessionStorage.getItem("yb-reason") || "";
by("reason").addEventListener("change", () => sessionStorage.setItem("yb-reason", by("reason").value.trim()));
let typing = 0;
by("error").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { open.clear(); drawn = ""; load(); }, 250);
});
by("error").value = new URLSearchParams(location.search).get("error") || "";

// The causes of a hundred thousand dead jobs take the server a while: it is asked a twentieth of the time at most.
let soon = 0;
let rested = 0;
async function fresh() {
  const began = performance.now();
  drawn = "";
  await load();
  rested = performance.now() + 20 * (performance.now() - began);
  soon = 0;
}
const again = () => { soon ||= setTimeout(fresh, Math.max(300, rested - performance.now())); };
document.addEventListener("act-over", again);
on("opened", again);
let dead = null;
let serverTime = new Date().toISOString();
on("now", (now) => {
  serverTime = now.at;
  if (dead !== null && now.depth && now.depth.dead !== dead) again();
  dead = now.depth?.dead ?? dead;
});
load();
