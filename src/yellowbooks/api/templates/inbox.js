// Puts each mail at the top of the list as it arrives. Without this script the list is complete at each load.
"use strict";

const list = document.getElementById("mails");
const live = document.getElementById("live");
const query = new URLSearchParams(location.search).get("q") || "";
const address = "/inbox/events?" + new URLSearchParams({ q: query, after: list.dataset.after });
const stream = new EventSource(address);

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

stream.addEventListener("mail", (event) => {
  const mail = JSON.parse(event.data);
  const link = document.createElement("a");
  link.href = "/inbox/" + mail.id;
  const time = element("time", mail.shown);
  time.dateTime = mail.at;
  link.append(element("strong", mail.subject), element("span", mail.recipient), time);
  const line = document.createElement("li");
  line.append(link);
  list.prepend(line);
  document.getElementById("empty")?.remove();
  document.getElementById("count").textContent = list.children.length + " mails shown";
});
stream.addEventListener("open", () => { live.textContent = "New ones come up by themselves."; });
stream.addEventListener("error", () => { live.textContent = "The line is lost; new ones come when it is back."; });
