// What an operator does with dead jobs: one, a group, all.
import { dialogue, reasonSoFar, requestAct, toast, UNDO_SECONDS } from "./act.js";
import { get, patch, post } from "./ask.js";
import { el, fill, label } from "./dom.js";
import { number, t } from "./words.js";

const jobUrl = (id) => `/api/admin/jobs/${encodeURIComponent(id)}`;

// One job is requeued at once: there are ten seconds to take it back.
export async function requeueOne(id) {
  try {
    await requestAct("retry", { ids: [id] }, reasonSoFar());
    return true;
  } catch (error) {
    toast(error.message, { kind: "bad" });
    return false;
  }
}

export async function discardOne(id) {
  const reason = reasonSoFar();
  if (!reason) {
    return dialogue({
      title: t("dead.discard_one"), body: el("p", {}, t("dead.discard_text")), submit: t("dead.discard"), danger: true,
      work: (said) => requestAct("discard", { ids: [id] }, said),
    });
  }
  try {
    await requestAct("discard", { ids: [id] }, reason);
    return true;
  } catch (error) {
    toast(error.message, { kind: "bad" });
    return false;
  }
}

// Many: the server counts first, and then does that to those, not to what died since.
export async function many(verb, filter, what) {
  const preview = await post(`/api/admin/dlq/${verb}`, { ...filter, preview: true });
  if (!preview.count) {
    toast(t("dead.nothing"));
    return false;
  }
  const pace = el("input", { type: "number", min: "0.1", step: "any", inputmode: "decimal" });
  return dialogue({
    title: t(`dead.${verb}_many`, { count: preview.count }),
    body: [
      el("p", {}, what),
      el("p", {}, t(verb === "retry" ? "dead.retry_text" : "dead.discard_text"), " ", t("dead.undo_text", { seconds: UNDO_SECONDS })),
      verb === "retry" && preview.count > 1 ? label(pace, t("dead.pace"), el("p", { class: "hint" }, t("dead.pace_hint"))) : null,
    ],
    submit: t(`dead.${verb}_submit`, { count: preview.count }), danger: verb === "discard",
    reason: verb === "discard" ? "needed" : "optional",
    work: (reason) => requestAct(verb, {
      ...filter, diedBefore: preview.diedBefore, ...(pace.value ? { pace: Number(pace.value) } : {}),
    }, reason),
  });
}

function changes(before, after) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).map((name) => el("li", {},
    el("b", {}, name), ": ", el("del", {}, JSON.stringify(before[name]) ?? "–"), " → ", el("ins", {}, JSON.stringify(after[name]) ?? "–")));
}

function editor(payload) {
  const text = el("textarea", { rows: "14", spellcheck: "false", class: "mono" });
  text.value = JSON.stringify(payload, null, 2);
  const list = el("ul", { class: "changes", "aria-live": "polite" });
  const parse = () => {
    const value = JSON.parse(text.value);
    if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error(t("edit.no_object"));
    return value;
  };
  const look = () => {
    try {
      const found = changes(payload, parse());
      text.setAttribute("aria-invalid", "false");
      fill(list, found.length ? found : el("li", {}, t("edit.same")));
    } catch (error) {
      text.setAttribute("aria-invalid", "true");
      fill(list, el("li", { class: "bad" }, t("edit.no_json", { why: error.message })));
    }
  };
  text.addEventListener("input", look);
  look();
  return { parse, element: [label(text, t("job.payload")), el("h3", {}, t("edit.changes")), list] };
}

// The payload is shown first, which the audit trail says; then changed, checked by the API, and the job runs again.
export async function editOne(id) {
  const shown = await dialogue({
    title: t("edit.title"), body: el("p", {}, t("edit.reveal_text")), submit: t("edit.reveal"),
    work: async (reason) => ({ reason, payload: (await post(`${jobUrl(id)}/reveal`, { reason })).payload }),
  });
  if (!shown) return false;
  const { parse, element } = editor(shown.payload);
  const edited = await dialogue({
    title: t("edit.title"), body: [el("p", { class: "mono" }, id), ...element], submit: t("edit.submit"), wide: true,
    work: async (reason) => {
      let payload;
      try {
        payload = parse();
      } catch (error) {
        throw new Error(t("edit.no_json", { why: error.message }));
      }
      await patch(`/api/admin/dlq/${encodeURIComponent(id)}`, { payload, reason });
      await requestAct("retry", { ids: [id] }, reason);
    },
  });
  return Boolean(edited);
}

export async function reveal(id) {
  return dialogue({
    title: t("job.reveal"), body: el("p", {}, t("job.reveal_text")), submit: t("job.reveal"),
    work: async (reason) => (await post(`${jobUrl(id)}/reveal`, { reason })).payload,
  });
}

export async function cancelJob(id) {
  return dialogue({
    title: t("job.cancel"), body: el("p", {}, t("job.cancel_text")), submit: t("job.cancel"), danger: true,
    work: (reason) => post(`${jobUrl(id)}/cancel`, { reason }),
  });
}

export const causes = () => get("/api/admin/dlq/causes");
export const total = (groups) => number(groups.reduce((sum, group) => sum + group.count, 0));
