// The audit trail: who did what, to what, why, and what it was before.
import { get, query } from "./ask.js";
import { by, el, fill, jobLink, row, time } from "./dom.js";
import "./frame.js";
import { on } from "./live.js";
import { Pager } from "./pager.js";
import { t, tried } from "./words.js";

const table = by("acts");
const JOB = /^[\w.:@-]{6,128}$/;
const JOB_ACTS = new Set(["requeue", "retry", "discard", "edit", "reveal", "cancel", "mail"]);

const words = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

function change(act) {
  if (act.before === null && act.after === null) return "–";
  return el("details", {}, el("summary", {}, t("audit.show")), el("dl", { class: "facts" },
    ["before", "after"].filter((side) => act[side] !== null && act[side] !== undefined).map((side) => el("div", {}, el("dt", {}, t(`audit.${side}`)),
      el("dd", {}, el("pre", { tabindex: "0" }, words(act[side])))))));
}

const pager = new Pager({
  ask: (cursor) => get(`/api/admin/audit${query({ cursor })}`),
  show: (page) => {
    fill(table.tBodies[0], page.acts.map((act) => row(table, [
      time(act.at, { day: "other" }), act.who || t("audit.nobody"), tried("audit_act", act.act),
      JOB_ACTS.has(act.act) && JOB.test(act.what) ? jobLink(act.what) : el("span", { class: "mono" }, words(act.what ?? "–")),
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
