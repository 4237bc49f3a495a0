// Keys, and the sheet that names them. Single letters can be switched off (WCAG 2.1.4): they are in the way of some.
import { by, el } from "./dom.js";
import { t } from "./words.js";

const own = [];
const STORED = "yb-keys";
const PLACES = { n: "/dashboard", j: "/dashboard/jobs", d: "/dashboard/dead", l: "/dashboard/limits", a: "/dashboard/audit" };
let going = 0;

export const keysOn = () => localStorage.getItem(STORED) !== "off";

// keys: as KeyboardEvent.key has them; words: what the help sheet says
export function onKey(keys, words, act) {
  own.push({ keys, words, act });
}

function everywhere() {
  return [
    ["?", t("keys.help")], ["/", t("keys.search")], ["g n", t("page.now")], ["g j", t("page.jobs")],
    ["g d", t("page.dead")], ["g l", t("page.limits")], ["g a", t("page.audit")], ["Esc", t("keys.escape")],
  ];
}

function lines(rows) {
  return el("dl", { class: "keys" }, rows.map(([keys, words]) => el("div", {},
    el("dt", {}, keys.split(" ").map((key, n) => [n ? " " : null, el("kbd", {}, key)])), el("dd", {}, words))));
}

function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const off = el("input", { type: "checkbox", id: "keys-on", checked: keysOn() });
  off.addEventListener("change", () => localStorage.setItem(STORED, off.checked ? "on" : "off"));
  const dialog = el("dialog", { class: "sheet help", "aria-labelledby": "help-title" },
    el("form", { method: "dialog", class: "head" }, el("h2", { id: "help-title" }, t("help.title")),
      el("button", { class: "first", autofocus: true }, t("act.close"))),
    el("div", { class: "columns" },
      el("section", {}, el("h3", {}, t("help.everywhere")), lines(everywhere())),
      own.length ? el("section", {}, el("h3", {}, t("help.here")), lines(own.map((one) => [one.keys.join(" "), one.words]))) : null),
    el("p", { class: "check" }, off, el("label", { for: "keys-on" }, t("help.letters"))));
  const opener = document.activeElement;
  dialog.addEventListener("close", () => { dialog.remove(); opener?.focus(); });
  document.body.append(dialog);
  dialog.showModal();
}

const writing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]") || writing(event.target)) return;
  if (!keysOn()) return;
  if (going && Date.now() - going < 1500 && Object.hasOwn(PLACES, event.key)) {
    event.preventDefault();
    location.assign(PLACES[event.key]);
    return;
  }
  going = event.key === "g" ? Date.now() : 0;
  if (event.key === "?") return void (event.preventDefault(), showHelp());
  if (event.key === "/") {
    const field = document.querySelector("main input[type=search]");
    event.preventDefault();
    if (!field) return void location.assign(PLACES.n);
    field.focus();
    return void field.select();
  }
  const found = own.find((one) => one.keys.includes(event.key));
  if (found && found.act(event) !== false) event.preventDefault();
}

export function bindKeys() {
  document.addEventListener("keydown", pressed);
  by("help-button").addEventListener("click", showHelp);
}
