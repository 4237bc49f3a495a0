// What every page has: the line to the server, what is wrong now, and help.
import { resumeActs } from "./act.js";
import { by, el, fill } from "./dom.js";
import { bindKeys } from "./keys.js";
import { on, start } from "./live.js";
import { number, span, t, zone } from "./words.js";

const AWAY_MS = 3000; // a short break is no news
const shown = new Map();
const title = document.title;
let awayTimer = 0;
let awaySince = 0;
let ticking = 0;

// A banner says what is wrong and what to do; it is said once and goes by itself.
export function banner(key, words, given = {}) {
  const before = shown.get(key);
  if (!words) {
    before?.element.remove();
    shown.delete(key);
    document.title = shown.size ? `! ${title}` : title; // for a tab that is not looked at
    return;
  }
  const text = [words.title, words.text].join("\n");
  if (before?.text === text) return;
  const element = el("div", { class: `banner ${given.kind || "bad"}`, "data-banner": key },
    el("strong", {}, words.title), " ", words.text, given.more ? [" ", given.more] : null);
  if (before) before.element.replaceWith(element);
  else by("banners").append(element);
  shown.set(key, { text, element });
  document.title = `! ${title}`;
}

function away() {
  if (shown.has("session")) return; // it does answer
  banner("api", {
    title: t("away.api"), text: t("away.api_text", { since: span(Math.round((Date.now() - awaySince) / 1000)) }),
  });
}

function showLine(word) {
  const line = by("line");
  line.dataset.line = word;
  by("line-words").textContent = t(`line.${word}`);
  if (word === "away") {
    awaySince ||= Date.now();
    awayTimer ||= setTimeout(() => { away(); ticking = setInterval(away, 5000); }, AWAY_MS);
  } else {
    clearTimeout(awayTimer);
    clearInterval(ticking);
    awayTimer = awaySince = ticking = 0;
    banner("api", null);
  }
}

function showTrouble(now) {
  const troubles = new Map((now.trouble || []).map((one) => [one.part, one.error]));
  for (const part of ["queue", "log"]) {
    const error = troubles.get(part);
    banner(part, error === undefined ? null : { title: t(`away.${part}`), text: `${t(`away.${part}_text`)} ${error}` });
  }
  document.body.toggleAttribute("data-stale", troubles.has("queue"));
  showDeaf(now, troubles.has("queue"));
}

// Nobody at all, or nobody for some kinds that wait.
function showDeaf(now, unknown) {
  const silent = now.listening === false && !unknown;
  const kinds = (now.unheard || []).join(", ");
  const some = (now.workers || []).some((worker) => !worker.gone);
  banner("deaf", !silent ? null : some
    ? { title: t("away.deaf_kinds", { kinds }), text: t("away.deaf_kinds_text") }
    : { title: t("away.deaf"), text: t("away.deaf_text") },
  { kind: "warn", more: some ? null : el("code", {}, "yellowbooks worker") });
}

function showDead(now) {
  const dead = now.depth?.dead ?? 0;
  const badge = by("dead-badge");
  badge.hidden = !dead;
  fill(badge, el("span", { "aria-hidden": "true" }, number(dead)), el("span", { class: "unseen" }, t("dead.badge", { count: dead })));
}

document.addEventListener("signed-out", () => {
  const login = `/dashboard/login?${new URLSearchParams({ back: location.pathname + location.search })}`;
  banner("api", null);
  banner("session", { title: t("away.session"), text: t("away.session_text") },
    { more: el("a", { href: login }, t("login.title")) });
});
on("line", showLine);
on("now", (now) => { showTrouble(now); if (now.depth) showDead(now); });
by("zone").textContent = t("frame.zone", { zone: zone() });
bindKeys();
resumeActs();
// After the page's own script has asked to be told, too.
queueMicrotask(start);
