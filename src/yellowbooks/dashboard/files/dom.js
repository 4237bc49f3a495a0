// Elements from words, never from HTML: what a job says cannot become a part of the page.
import { clock, t } from "./words.js";

export function el(name, given = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const by = (id) => document.getElementById(id);

export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

export function time(at, options) {
  if (!at) return "–";
  return el("time", { datetime: at, title: at }, clock(at, options));
}

const MOMENT = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

// The engine's own words, in English; the moments in them in the reader's zone, as everywhere on the page.
export function explained(words) {
  return el("span", { lang: "en" }, words.split(MOMENT).map((part) => (MOMENT.test(part) ? time(part, { day: "other" }) : part)));
}

export function state(name) {
  return el("span", { class: `state ${name}` }, t(`state.${name}`));
}

// A row that is a row for a screen reader too when a small screen shows it as a card.
export function row(table, cells, given = {}) {
  const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
  return el("tr", { role: "row", ...given }, cells.map((cell, n) =>
    el(n ? "td" : "th", { role: n ? "cell" : "rowheader", scope: n ? null : "row", "data-head": heads[n] }, cell)));
}

export const jobPath = (id) => `/dashboard/jobs/${encodeURIComponent(id)}`;

export function jobLink(id, given = {}) {
  return el("a", { href: jobPath(id), class: "mono", ...given }, id);
}

// Said by a screen reader, seen by nobody.
export function say(words) {
  const said = by("said");
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = words; });
}

let last = 0;
export function label(control, words, ...more) {
  control.id ||= `made-${++last}`;
  return el("div", { class: "labelled" }, el("label", { for: control.id }, words), control, ...more);
}
