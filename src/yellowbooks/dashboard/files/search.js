// «Did this person get the mail?»: a sentence first, then the jobs that say so.
import { get, query } from "./ask.js";
import { el, explained, fill, jobLink, state, time } from "./dom.js";
import { t, tried } from "./words.js";

const SHOWN = 10;
let asking = null;

const VERDICTS = {
  completed: "yes", dead: "no", cancelled: "no", scheduled: "later", enqueued: "soon", processing: "soon", retrying: "soon",
};

function verdict(job) {
  return el("p", { class: `verdict ${VERDICTS[job.status]}` }, el("strong", {}, t(`verdict.${VERDICTS[job.status]}`)), " ",
    t(`verdict.${job.status}`, { attempts: job.attempts, all: job.maxAttempts }), " ", time(job.updatedAt || job.createdAt, { day: true }));
}

function line(job) {
  return el("li", {}, state(job.status), jobLink(job.jobId), el("span", { class: "soft" }, job.type),
    job.userId || job.userRef ? el("span", { class: "soft" }, job.userId || job.userRef) : null, time(job.createdAt, { day: "other" }),
    job.error ? el("span", { class: "error", lang: "en" }, job.error) : null);
}

async function words(job, signal) {
  try {
    const whole = await get(`/api/admin/jobs/${encodeURIComponent(job.jobId)}`, signal);
    const reply = whole.mail?.reply;
    if (reply) return el("p", { class: "reply" }, t("verdict.server"), " ", el("q", { class: "mono" }, reply));
    return whole.explain ? el("p", { class: "reply" }, explained(whole.explain)) : null;
  } catch {
    return null; // the verdict stands without it
  }
}

async function look(form, place) {
  const wanted = form.elements.q.value.trim();
  asking?.abort();
  history.replaceState(null, "", `/dashboard${query({ q: wanted })}`);
  if (!wanted) return fill(place);
  asking = new AbortController();
  const { signal } = asking;
  place.setAttribute("aria-busy", "true");
  try {
    const found = await get(`/api/admin/search${query({ q: wanted })}`, signal);
    const [newest] = found.jobs;
    if (!newest) return fill(place, el("p", { class: "verdict no" }, el("strong", {}, t("verdict.nothing")), " ", t("verdict.nothing_text", { wanted })));
    fill(place, verdict(newest), await words(newest, signal),
      el("p", { class: "soft" }, t("verdict.found", { count: found.jobs.length, by: tried("by", found.by), took: Math.round(found.tookMs) })),
      el("ol", { class: "found" }, found.jobs.slice(0, SHOWN).map(line)));
  } catch (error) {
    if (error.name !== "AbortError") fill(place, el("p", { class: "fault" }, error.message));
  } finally {
    if (!signal.aborted) place.setAttribute("aria-busy", "false");
  }
  return undefined;
}

export function answer(form, place) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look(form, place);
  });
  form.elements.q.addEventListener("search", () => { if (!form.elements.q.value) look(form, place); });
  const given = new URLSearchParams(location.search).get("q");
  if (given) {
    form.elements.q.value = given;
    look(form, place);
  }
}
