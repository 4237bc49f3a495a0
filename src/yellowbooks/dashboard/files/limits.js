// Limits, pauses, and who gets no mail.
import { dialogue } from "./act.js";
import { get, post, query, remove } from "./ask.js";
import { by, el, fill, row, time } from "./dom.js";
import "./frame.js";
import { on } from "./live.js";
import { Pager } from "./pager.js";
import { number, span, t } from "./words.js";

const kindTable = by("kinds");
const listTable = by("suppressions");

const limit = (one) => (one ? t("limits.per", { count: one.count, span: span(one.seconds) })
  + (one.left === undefined || one.left === null ? "" : ` (${t("limits.left", { left: number(Math.floor(one.left)) })})`) : "–");

function change(kind, verb) {
  return dialogue({
    title: t(`limits.${verb}_title`, { kind }), body: el("p", {}, t(`limits.${verb}_text`)), submit: t(`limits.${verb}`),
    work: (reason) => post(`/api/admin/kinds/${encodeURIComponent(kind)}/${verb}`, { reason }),
  }).then(loadKinds);
}

function kindRow(one) {
  const verb = one.paused ? "resume" : "pause";
  return row(kindTable, [
    el("span", {}, el("span", { class: "kind" }, one.kind), one.channel && one.channel !== one.kind ? el("span", { class: "soft" }, ` ${one.channel}`) : null),
    one.paused ? el("span", {}, el("span", { class: "state held" }, t("limits.paused")), " ", t("limits.paused_by", { by: one.paused.by || "–", why: one.paused.why || "–" }), " ", time(one.paused.since, { day: "other" }))
      : el("span", { class: "state open" }, t("limits.open")),
    number(one.waiting), number(one.processing), limit(one.rate), limit(one.quota),
    el("button", { type: "button", "data-kind": one.kind, "aria-label": `${t(`limits.${verb}`)} ${one.kind}`, onclick: () => change(one.kind, verb) }, t(`limits.${verb}`)),
  ]);
}

let drawn = "";
async function loadKinds() {
  let kinds;
  try {
    ({ kinds } = await get("/api/admin/kinds"));
  } catch (error) {
    return fill(kindTable.tBodies[0], el("tr", { role: "row" }, el("td", { colspan: "7", role: "cell" }, error.message)));
  }
  const now = JSON.stringify(kinds);
  if (now === drawn) return undefined;
  drawn = now;
  const held = document.activeElement?.dataset?.kind;
  fill(kindTable.tBodies[0], kinds.map(kindRow));
  if (held) kindTable.querySelector(`[data-kind="${CSS.escape(held)}"]`)?.focus();
  return undefined;
}

function lift(one) {
  return dialogue({
    title: t("limits.lift_title"), body: el("p", {}, t("limits.lift_text")), submit: t("limits.lift"),
    work: (reason) => remove(`/api/admin/suppressions/${encodeURIComponent(one.key)}`, { reason }),
  }).then((done) => done && pager.again());
}

const pager = new Pager({
  ask: (cursor) => get(`/api/admin/suppressions${query({ cursor })}`),
  show: (page) => {
    fill(listTable.tBodies[0], page.suppressions.map((one) => row(listTable, [
      el("span", { class: "mono" }, one.address || one.key), [one.why, one.reply].filter(Boolean).join(": ") || "–", time(one.since, { day: true }), time(one.until, { day: true }),
      el("button", { type: "button", "aria-label": `${t("limits.lift")} ${one.address || one.key}`, onclick: () => lift(one) }, t("limits.lift")),
    ])));
    listTable.hidden = !page.suppressions.length;
    by("no-suppressions").hidden = Boolean(page.suppressions.length);
  },
  failed: (error) => { by("no-suppressions").hidden = false; by("no-suppressions").textContent = error.message; },
  next: (page) => page.next,
  table: listTable,
});

let later = 0;
on("now", () => { later ||= setTimeout(() => { later = 0; loadKinds(); }, 2000); });
loadKinds();
pager.first();
