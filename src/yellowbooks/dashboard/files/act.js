// Acts: asked for with a reason, taken back within ten seconds, followed to their end.
import { get, post, remove } from "./ask.js";
import { by, el, fill, label, say } from "./dom.js";
import { onKey } from "./keys.js";
import { on } from "./live.js";
import { number, t } from "./words.js";

export const UNDO_SECONDS = 10;
const GONE_MS = 8000;
const STORED = "yb-acts"; // in this tab, so that the undo is still there on the next page
const shown = new Map();

export function reasonSoFar() {
  return by("reason")?.value.trim() || sessionStorage.getItem("yb-reason") || "";
}

export function faultWords(error) {
  const fields = (error.faults || []).map((fault) => el("li", {}, el("b", {}, fault.field), " ", fault.why));
  return el("div", { class: "fault", role: "alert" }, el("p", {}, error.message), fields.length ? el("ul", {}, fields) : null);
}

// A dialog that does `work(reason)`; it stays open, and says why, until that works. Resolves to what work gave, or null.
export function dialogue({ title, body, submit, danger = false, reason = "needed", work, wide = false }) {
  const opener = document.activeElement;
  const field = el("input", { type: "text", maxlength: "200", autocomplete: "off", required: reason === "needed" });
  field.value = reasonSoFar();
  const fault = el("div");
  const go = el("button", { class: danger ? "danger first" : "first", value: "go" }, submit);
  const stop = el("button", { type: "button", onclick: () => dialog.close() }, t("act.cancel"));
  const form = el("form", { method: "dialog" }, el("h2", { id: "dialogue-title" }, title), body,
    reason === "none" ? null : label(field, t(reason === "needed" ? "act.reason" : "act.reason_optional")),
    fault, el("div", { class: "buttons" }, go, stop));
  const dialog = el("dialog", { class: wide ? "sheet wide" : "sheet", "aria-labelledby": "dialogue-title" }, form);
  let answer = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    fill(fault);
    try {
      const said = field.value.trim();
      if (said) sessionStorage.setItem("yb-reason", said);
      answer = (await work(said)) ?? true;
      dialog.close();
    } catch (error) {
      fill(fault, faultWords(error));
    } finally {
      go.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  const first = dialog.querySelector("input");
  const area = dialog.querySelector("textarea");
  if (area) area.focus();
  else (first && !first.value ? first : reason === "none" || danger ? stop : go).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener?.isConnected) opener.focus();
      resolve(answer);
    });
  });
}

export function toast(words, given = {}, ...more) {
  const element = el("div", { class: `toast ${given.kind || ""}` }, el("p", { role: "status" }, words), more,
    el("button", { type: "button", class: "plain", onclick: () => element.remove() }, el("span", { "aria-hidden": "true" }, "×"),
      el("span", { class: "unseen" }, t("act.close"))));
  by("toasts").append(element);
  if (given.goes !== false) setTimeout(() => element.remove(), GONE_MS);
  return element;
}

function keep() {
  const acts = [...shown.values()].filter((one) => !one.over).map(({ act, until }) => ({ act, until }));
  sessionStorage.setItem(STORED, JSON.stringify(acts));
}

function end(one, words, kind) {
  one.over = true;
  clearInterval(one.timer);
  one.element.remove();
  keep();
  toast(words, { kind });
  document.dispatchEvent(new CustomEvent("act-over", { detail: one.act }));
}

// state: waiting, running, done, undone, failed
function follow(act) {
  const one = shown.get(act.actId);
  if (!one || one.over) return;
  const count = act.count ?? one.act.count;
  if (act.state === "running") {
    clearInterval(one.timer);
    const bar = el("progress", { max: count, value: act.done, "aria-label": t("act.progress") });
    fill(one.body, bar, el("span", {}, t("act.running", { done: number(act.done), all: number(count) })));
  } else if (act.state === "done") end(one, t(`act.${one.act.verb}_done`, { count: act.done ?? count }), "good");
  else if (act.state === "undone") end(one, t("act.undone"), "");
  else if (act.state === "failed") end(one, t("act.failed", { why: act.error || "" }), "bad");
}

async function undo(one) {
  try {
    await remove(`/api/admin/acts/${encodeURIComponent(one.act.actId)}`);
    end(one, t("act.undone"), "");
    say(t("act.undone"));
  } catch (error) {
    if (error.status) toast(t("act.undo_late"), { kind: "bad" });
    else toast(error.message, { kind: "bad" });
  }
}

// An act that the API does in `seconds`, unless it is taken back.
function show(act, until) {
  const body = el("div", { class: "undo" });
  const left = el("b", { "aria-hidden": "true" });
  const button = el("button", { type: "button", class: "first", "aria-keyshortcuts": "u", onclick: () => undo(one) }, t("act.undo"));
  fill(body, left, button);
  const element = toast(t(`act.${act.verb}_soon`, { count: act.count }), { goes: false }, body);
  const one = { act, until, element, body, over: false, timer: 0 };
  const tick = async () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    left.textContent = `${Math.max(0, seconds)} ${t("unit.s")}`;
    if (seconds > 0) return;
    button.remove();
    // The stream tells its progress; this is for a stream that was asleep.
    if (seconds % 2 === 0) {
      try {
        follow(await get(`/api/admin/acts/${encodeURIComponent(act.actId)}`));
      } catch (error) {
        if (error.status === 404) end(one, t("act.unknown"), "");
      }
    }
  };
  one.timer = setInterval(tick, 500);
  shown.set(act.actId, one);
  tick();
  keep();
}

export async function requestAct(verb, filter, reason) {
  const answer = await post(`/api/admin/dlq/${verb}`, { ...filter, reason, delay: UNDO_SECONDS });
  show({ actId: answer.actId, count: answer.count, verb, ids: filter.ids || [] }, Date.now() + UNDO_SECONDS * 1000);
  return answer;
}

// Jobs that an act which is not over names.
export function pendingJobs() {
  return [...shown.values()].filter((one) => !one.over).flatMap((one) => one.act.ids || []);
}

// The acts of the page before this one, in the same tab.
export function resumeActs() {
  for (const { act, until } of JSON.parse(sessionStorage.getItem(STORED) || "[]")) show(act, until);
  on("act", follow);
  onKey(["u"], t("keys.undo"), () => {
    const open = [...shown.values()].filter((one) => !one.over && one.until > Date.now()).at(-1);
    return open ? void undo(open) : false;
  });
}
