// One stream of events a page that is seen: the numbers as they change, and each transition of each job.
import { get } from "./ask.js";

const AGAIN_MS = 2000; // where the server refused the stream; a line that broke is opened again by the browser
const listeners = new Map();
let stream = null;
let again = 0;
let lastWord = "opening";

export function on(name, listener) {
  if (!listeners.has(name)) listeners.set(name, []);
  listeners.get(name).push(listener);
}

function tell(name, value) {
  for (const listener of listeners.get(name) || []) listener(value);
}

// opening, live, away (the server does not answer) or asleep (nobody looks)
function become(word) {
  if (word === lastWord) return;
  lastWord = word;
  tell("line", word);
}

function open() {
  clearTimeout(again);
  stream?.close();
  stream = new EventSource("/api/events");
  stream.addEventListener("open", () => { become("live"); tell("opened"); });
  stream.addEventListener("error", () => {
    become("away");
    if (stream?.readyState !== EventSource.CLOSED) return;
    again = setTimeout(open, AGAIN_MS);
    get("/api/admin/now").catch(() => {}); // why it was refused is not told to a stream
  });
  for (const name of ["now", "job", "act", "missed"]) {
    stream.addEventListener(name, (event) => { become("live"); tell(name, JSON.parse(event.data)); });
  }
}

export function start() {
  open();
  // A browser opens six lines to a server and no more; pages in the background give theirs back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(again);
      stream?.close();
      stream = null;
      become("asleep");
    } else if (!stream) open();
  });
}
