// Small charts, drawn as SVG; each can be read as words and as a table too.
import { el, fill } from "./dom.js";
import { clock, number, span, t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, TOP, LEFT, BOTTOM] = [360, 110, 16, 0, 106];
const CHARTS = [
  { name: "flow", lines: ["in", "out"], show: number },
  { name: "trouble", lines: ["failed", "dead"], show: number },
  { name: "times", lines: ["waitP95", "runP95"], show: span },
  { name: "depth", lines: ["depth"], show: number },
];

function svg(name, given, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const spread = (count) => (n) => LEFT + (count > 1 ? (n * (WIDTH - LEFT)) / (count - 1) : WIDTH / 2);
const height = (most) => (value) => BOTTOM - (Math.max(0, value) * (BOTTOM - TOP)) / most;

// The last point is of a minute that is not over: its counts would look like a fall.
const over = (points) => (points.length > 1 ? points.slice(0, -1) : points);

// A value that is not known is a gap, not a zero.
function path(points, line, x, y) {
  let drawn = "";
  let pen = "M";
  points.forEach((point, n) => {
    const value = point[line];
    if (value === null || value === undefined) pen = "M";
    else {
      drawn += `${pen}${x(n).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    }
  });
  return drawn;
}

function summary(chart, points) {
  return chart.lines.map((line) => {
    const known = points.filter((point) => typeof point[line] === "number");
    if (!known.length) return `${t(`series.${line}`)}: –`;
    const top = known.reduce((most, point) => (point[line] > most[line] ? point : most));
    return t("series.summary", {
      line: t(`series.${line}`), now: chart.show(known.at(-1)[line]), most: chart.show(top[line]), at: clock(top.at),
    });
  }).join(" ");
}

function legend(chart, point) {
  return chart.lines.map((line, n) => el("span", { class: `key line-${n}` },
    el("i", { "aria-hidden": "true" }), `${t(`series.${line}`)} `, el("b", {}, chart.show(point?.[line]))));
}

function table(chart, points) {
  const details = el("details", {}, el("summary", {}, t("series.table")));
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    details.append(el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": t(`chart.${chart.name}`) }, el("table", { class: "figures" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("series.at")), chart.lines.map((line) => el("th", { scope: "col" }, t(`series.${line}`))))),
      el("tbody", {}, points.toReversed().map((point) => el("tr", {}, el("th", { scope: "row" }, clock(point.at)),
        chart.lines.map((line) => el("td", {}, chart.show(point[line])))))))));
  });
  return details;
}

// The point under the pointer, or that the arrow keys walk to, is named in the legend.
function reading(drawing, keys, chart, points, x) {
  const mark = drawing.querySelector(".mark");
  let here = points.length - 1;
  const show = (n) => {
    here = Math.min(points.length - 1, Math.max(0, n));
    const point = points[here];
    mark.setAttribute("x1", x(here));
    mark.setAttribute("x2", x(here));
    mark.classList.add("on");
    fill(keys, el("span", { class: "when" }, clock(point.at)), legend(chart, point));
  };
  const rest = () => {
    mark.classList.remove("on");
    fill(keys, legend(chart, points.at(-1)));
  };
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    show(Math.round(((event.clientX - box.left) / box.width) * (points.length - 1)));
  });
  drawing.addEventListener("pointerleave", rest);
  drawing.addEventListener("blur", rest);
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    show(here + step);
  });
}

function draw(chart, points, period) {
  const values = points.flatMap((point) => chart.lines.map((line) => point[line] ?? 0));
  const most = Math.max(...values, 0);
  const [x, y] = [spread(points.length), height(most || 1)];
  const first = path(points, chart.lines[0], x, y);
  const drawing = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", tabindex: "0", "aria-label": `${t(`chart.${chart.name}`)}, ${t(`series.${period}`)}. ${summary(chart, points)}`,
  });
  for (const part of [0, 0.5, 1]) drawing.append(svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y((most || 1) * part), y2: y((most || 1) * part) }));
  if (chart.lines.length === 1 && first) drawing.append(svg("path", { class: "area", d: `${first}L${x(points.length - 1)} ${BOTTOM}L${x(0)} ${BOTTOM}Z` }));
  chart.lines.forEach((line, n) => drawing.append(svg("path", { class: `curve line-${n}`, d: path(points, line, x, y) })));
  drawing.append(svg("line", { class: "mark", x1: 0, x2: 0, y1: TOP, y2: BOTTOM }));
  const keys = el("p", { class: "legend", "aria-live": "polite" }, legend(chart, points.at(-1)));
  reading(drawing, keys, chart, points, x);
  return el("figure", { class: "chart" }, el("figcaption", {}, t(`chart.${chart.name}`)), keys,
    el("div", { class: "plot" }, el("span", { class: "most", "aria-hidden": "true" }, chart.show(most)), drawing),
    el("p", { class: "axis", "aria-hidden": "true" }, el("span", {}, clock(points[0].at).slice(0, 5)), el("span", {}, clock(points.at(-1).at).slice(0, 5))),
    table(chart, points));
}

export function drawCharts(place, points, period) {
  if (place.contains(document.activeElement) || place.querySelector("details[open]")) return; // somebody reads it
  if (!points.length) return void fill(place, el("p", { class: "empty" }, t("series.none")));
  fill(place, CHARTS.map((chart) => draw(chart, chart.name === "depth" ? points : over(points), period)));
}
