// The front page: did this person get the mail, and how is the system now.
import { get } from "./ask.js";
import { drawCharts } from "./charts.js";
import { by, el, fill, jobLink, row, time } from "./dom.js";
import { banner } from "./frame.js";
import { on } from "./live.js";
import { answer } from "./search.js";
import { number, rate, share, span, t, tried } from "./words.js";

const FEED = 15;
const SHOWN_RUNS = 4;
const SHOWN_WORKERS = 50;
let chosen = "hour";
let minute = "";
let stopped = false;

const at = (whole, path) => path.split(".").reduce((part, name) => part?.[name], whole);

function form(path, value) {
  if (path.startsWith("depth.")) return number(value);
  if (path.startsWith("rates.")) return rate(value);
  if (path === "errorRate") return share(value);
  return span(value);
}

function showNumbers(now) {
  for (const cell of document.querySelectorAll("[data-now]")) {
    const words = form(cell.dataset.now, at(now, cell.dataset.now));
    if (cell.textContent !== words) cell.textContent = words;
  }
  document.querySelector(".strip .dead").toggleAttribute("data-some", (now.depth.dead ?? 0) > 0);
  by("oldest").toggleAttribute("data-bad", (now.oldestWaitingSeconds ?? 0) > 60);
  by("errors").toggleAttribute("data-bad", (now.errorRate ?? 0) > 0.05);
}

function doing(worker) {
  if (worker.gone) return el("span", { class: "error" }, t("workers.gone"));
  const runs = worker.running || [];
  if (!runs.length) return el("span", { class: "soft" }, t("workers.idle"));
  return el("ul", { class: "runs" }, runs.slice(0, SHOWN_RUNS).map((run) => el("li", {},
    jobLink(run.jobId), " ", el("span", { class: "soft" }, `${run.type} · ${span(run.sinceSeconds)}`))),
  runs.length > SHOWN_RUNS ? el("li", { class: "soft" }, t("workers.more", { count: runs.length - SHOWN_RUNS })) : null);
}

function showWorkers(now) {
  const workers = now.workers || [];
  const table = by("workers");
  // The focus stays where it is while the rows are written anew.
  const held = table.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  by("workers-count").textContent = workers.length ? number(workers.length) : "";
  table.hidden = !workers.length;
  by("no-workers").hidden = Boolean(workers.length);
  fill(table.tBodies[0], workers.slice(0, SHOWN_WORKERS).map((worker) => {
    const busy = (worker.running || []).length;
    return row(table, [
      el("span", { class: "mono" }, worker.id), (worker.kinds || []).join(", "),
      el("span", {}, el("meter", { min: 0, max: worker.capacity || 1, value: busy, "aria-label": t("workers.load") }), ` ${busy}/${worker.capacity ?? "–"}`),
      doing(worker), span(worker.seenSeconds),
    ], worker.about ? { title: worker.about } : {});
  }));
  if (held) table.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus();
}

function showHeld(now) {
  const aside = now.depth.quarantined;
  banner("aside", aside ? { title: t("now.aside", { count: aside }), text: t("now.aside_text") } : null, { kind: "warn" });
  fill(by("held"), (now.held || []).map((one) => el("p", { class: "banner warn" }, el("strong", {}, t(one.pace ? "held.title_paced" : "held.title", { what: one.what })), " ",
    one.pace ? t("held.paced", { pace: rate(one.pace) }) : t("held.text", { by: one.by || "–", why: one.why || "–" }), " ", time(one.since, { day: "other" }), " ",
    el("a", { href: "/dashboard/limits" }, t("page.limits")))));
}

async function showCharts() {
  try {
    drawCharts(by("charts"), (await get(`/api/admin/series?span=${chosen}`)).points, chosen);
  } catch (error) {
    fill(by("charts"), el("p", { class: "empty" }, error.message));
  }
}

on("now", (now) => {
  if (!now.depth) return;
  if (!now.trouble?.some((one) => one.part === "queue")) {
    showNumbers(now);
    showWorkers(now);
    showHeld(now);
  }
  const here = now.at.slice(0, 16); // a chart has a point a minute, so that is how often it changes
  if (here !== minute) {
    minute = here;
    showCharts();
  }
});

on("job", (event) => {
  if (stopped) return;
  by("no-feed").hidden = true;
  const feed = by("feed");
  feed.prepend(el("li", { class: event.event }, time(event.at), el("span", { class: "word" }, tried("event", event.event)),
    jobLink(event.jobId), el("span", { class: "soft" }, event.type)));
  while (feed.children.length > FEED) feed.lastChild.remove();
});

on("missed", ({ count }) => {
  if (stopped) return;
  by("feed").prepend(el("li", { class: "soft" }, "", el("span", {}, t("feed.missed", { count }))));
});

by("feed-stop").addEventListener("click", (event) => {
  stopped = !stopped;
  event.currentTarget.setAttribute("aria-pressed", String(stopped));
});

for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => {
    chosen = button.dataset.span;
    for (const other of document.querySelectorAll("[data-span]")) other.setAttribute("aria-pressed", String(other === button));
    showCharts();
  });
}

answer(by("ask"), by("answer"));
