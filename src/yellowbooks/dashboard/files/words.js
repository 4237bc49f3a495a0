// The words of the page's language. A name that is missing is a fault of ours and stops the page: a test finds it first.
const { words } = await import(`./words.${document.documentElement.lang}.js`);

export function t(name, values = {}) {
  if (!Object.hasOwn(words, name)) throw new Error(`words.toml has no «${name}»`);
  const [one, many] = words[name].split("|");
  const form = many !== undefined && values.count !== 1 ? many : one;
  return form.replace(/\{(\w+)\}/g, (_, key) => (key === "count" ? number(values[key]) : String(values[key])));
}

// For words that the API may add, such as an event's: its own word where we have none.
export function tried(section, name) {
  const whole = `${section}.${name}`;
  return Object.hasOwn(words, whole) ? words[whole].split("|")[0] : String(name);
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  const text = Number(value).toFixed(digits);
  const [whole, rest] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (rest ? `.${rest}` : "");
}

export function rate(value) {
  return number(value, !value || value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

// 0.0042 -> 4 ms, 61 -> 1 min 1 s
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.001) return `<\u202f1 ${t("unit.ms")}`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ${t("unit.ms")}`;
  if (seconds < 10) return `${seconds.toFixed(1)} ${t("unit.s")}`;
  if (seconds < 60) return `${Math.round(seconds)} ${t("unit.s")}`;
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let left = Math.round(seconds);
  const shown = [];
  for (const [unit, size] of parts) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count || shown.length) shown.push(`${count} ${t(`unit.${unit}`)}`);
    if (shown.length === 2) break;
  }
  return shown.filter((part) => !part.startsWith("0 ")).join(" ");
}

export function share(part) {
  return part === null || part === undefined ? "–" : `${number(part * 100, part > 0 && part < 0.1 ? 1 : 0)}\u202f%`;
}

const two = (value) => String(value).padStart(2, "0");

// In the reader's own zone, in the same order in both languages.
export function clock(at, { day = false, millis = false } = {}) {
  const moment = new Date(at);
  let text = `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
  if (millis) text += `.${String(moment.getMilliseconds()).padStart(3, "0")}`;
  const today = new Date().toDateString() === moment.toDateString();
  return day === true || (day === "other" && !today)
    ? `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${text}` : text;
}

export function zone() {
  const minutes = -new Date().getTimezoneOffset();
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${two(rest)}` : ""}`;
}
