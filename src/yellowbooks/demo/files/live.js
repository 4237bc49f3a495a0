// Brings the panel up to date until the mail is there. Without this script the page shows what there was at its load.
"use strict";

const steps = document.getElementById("steps");
const QUICK = 250, SLOW = 3000, PATIENCE = 60000; // milliseconds
const begun = performance.now();

function show(state) {
  state.steps.forEach((step, number) => {
    const line = steps.children[number];
    line.dataset.state = step.state;
    for (const [name, text] of [[".at", step.at], [".note", step.note]]) {
      const place = line.querySelector(name);
      if (place.textContent !== text) place.textContent = text; // only what is new is read aloud
    }
  });
  const mail = document.getElementById("mail");
  if (state.mail && mail && mail.hidden) {
    mail.src = "/welcome/mail";
    mail.hidden = false;
    document.getElementById("waiting").hidden = true;
  }
}

async function look() {
  let over = false;
  try {
    const reply = await fetch("/welcome/state");
    const state = await reply.json();
    over = state.over;
    if (reply.ok) show(state);
  } catch {
    // The site is away for a moment; it is asked again.
  }
  if (!over) setTimeout(look, performance.now() - begun < PATIENCE ? QUICK : SLOW);
}

if (steps.dataset.over !== "true") look();
