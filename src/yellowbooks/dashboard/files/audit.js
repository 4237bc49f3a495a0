// The audit trail: who did what, to what, why, and what it was before.
import { get, query } from "./ask.js";
import { by, el, fill, jobLink, row, time } from "./dom.js";
import "./frame.js";
import { on } from "./live.js";
import { Pager } from "./pager.js";
import { t, tried } from "./words.js";

const table = by("acts");
const JOB = /^[A-Za-z0-9][\w.:@+-]{0,127}$/;
const JOB_ACTS = new Set(["requeue", "retry", "discard", "edit", "reveal", "cancel", "cancel-failed", "mail"]);

const words = (value) => (value === null || value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

// A job, or the filter that chose many, or the name of a kind or an address's key.
function what(act) {
  if (JOB_ACTS.has(act.act) && JOB.test(act.what)) return jobLink(act.what);
  const filter = parsed(act.what);
  if (!filter) return el("span", { class: "mono" }, words(act.what));
  if (!Object.keys(filter).length) return t("audit.all");
  return el("dl", { class: "pairs" }, Object.entries(filter).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, words(value)))));
}

const fields = (side) => (side === null || side === undefined ? {} : typeof side === "object" && !Array.isArray(side) ? side : { "": side });

function change(act) {
  const [before, after] = [fields(act.before), fields(act.after)];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = names.filter((name) => words(before[name]) !== words(after[name]));
  if (!changed.length) return "–";
  return el("dl", { class: "pairs" }, changed.map((name) => el("div", {}, el("dt", {}, name),
    el("dd", {}, (before[name] ?? null) !== null ? [el("del", {}, words(before[name])), " → "] : null, el("ins", {}, words(after[name]))))));
}

const pager = new Pager({
  ask: (cursor) => get(`/api/admin/audit${query({ cursor })}`),
  show: (page) => {
    fill(table.tBodies[0], page.acts.map((act) => row(table, [
      time(act.at, { day: "other" }), act.who || t("audit.nobody"), tried("audit_act", act.act),
      what(act),
      act.reason || "–", change(act),
    ])));
    table.hidden = !page.acts.length;
    by("no-acts").hidden = Boolean(page.acts.length);
    by("audit-words").textContent = "";
  },
  failed: (error) => { by("audit-words").textContent = error.message; },
  next: (page) => page.next,
  table,
});

on("act", () => { if (pager.atFirst) pager.again(); });
pager.first();
