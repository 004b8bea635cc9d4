// The pair behind the one on the screen is here already: a choice shows it at once, while the
// answer is on its way. Answers go out one by one, and again until the server has them.
"use strict";

const stage = document.getElementById("stage");
const said = document.getElementById("said");
const answered = new Set(); // views that this page has dealt with
const SETTLE = 250; // ms in which a second tap cannot have been meant for the next pair
const PATIENCE = 1500; // ms between two tries of one answer
const LOOKS = 40; // at most, for one pair
const BEAT = 30000; // ms between two words that somebody is there,
const LEFT = 600000; // and ms without a touch after which nobody is

let shownAt = performance.now();
let line = Promise.resolve(); // of what is to be sent
let resetting = false;
let fading = 0;
let touched = performance.now();
let looks = 0; // for a pair behind the one on the screen

const shown = () => stage.querySelector("article.pair:not([hidden])");
const notice = () => stage.querySelector("section.notice");

function say(text, aloud) {
  clearTimeout(fading);
  said.classList.toggle("quietly", !aloud);
  said.textContent = text;
  if (aloud && text) fading = setTimeout(() => say("", false), 6000);
}

function show(next) {
  notice().hidden = next !== null;
  if (next === null) {
    const heading = notice().querySelector("h2");
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
    return;
  }
  next.hidden = false;
  next.tabIndex = -1;
  next.setAttribute("aria-label", "Two answers to compare");
  next.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  shownAt = performance.now();
  looks = 0;
}

function reconcile(html, anew) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = [...page.querySelectorAll("article.pair")].filter(
    (pair) => !answered.has(pair.dataset.view),
  );
  if (!page.getElementById("stage")) return;
  const here = shown();
  for (const pair of stage.querySelectorAll("article.pair")) {
    if (anew || pair !== here) pair.remove();
  }
  const kept = anew ? null : here;
  const waits = notice();
  for (const pair of fresh) {
    if (kept && pair.dataset.view === kept.dataset.view) continue;
    const copy = document.importNode(pair, true);
    copy.hidden = true;
    stage.insertBefore(copy, waits);
  }
  const other = page.querySelector("section.notice");
  const was = waits.hidden;
  const speaks = other.textContent.trim() !== waits.textContent.trim();
  if (other.dataset.over !== waits.dataset.over || speaks) {
    const copy = document.importNode(other, true);
    copy.hidden = was;
    waits.replaceWith(copy);
    htmx.process(copy);
  }
  document.getElementById("progress").replaceChildren(
    ...document.importNode(page.getElementById("progress"), true).childNodes,
  );
  for (const button of stage.querySelectorAll('.bar [data-key="u"]')) {
    button.disabled = !page.querySelector('[data-key="u"]:not(:disabled)');
  }
  const note = page.getElementById("note").textContent;
  if (note) say(note, true);
  if (shown() === null) {
    const next = stage.querySelector("article.pair");
    if (next !== null) show(next);
    else if (was || speaks) show(null);
  }
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function send(url, fields, anew) {
  for (;;) {
    let reply;
    try {
      reply = await fetch(url, { method: "POST", body: fields, headers: { "X-Stage": "1" } });
    } catch {
      say("No connection. Your answer is kept here and sent again.", true);
      await pause(PATIENCE);
      continue;
    }
    if (reply.ok) {
      reconcile(await reply.text(), anew);
      return;
    }
    if (reply.status < 500) {
      location.reload(); // the session is over, or this page is of an older server
      return;
    }
    say("The server cannot save answers now. Yours is kept here and sent again.", true);
    await pause(PATIENCE);
  }
}

function choose(form, button) {
  if (resetting) return;
  const url = button.formAction && button.hasAttribute("formaction") ? button.formAction : form.action;
  const fields = new URLSearchParams(new FormData(form));
  if (url.endsWith("/undo")) {
    resetting = true; // what is on the screen stands behind what comes back
    say("Taking your last answer back.", false);
    line = line.then(() => send(url, fields, true)).finally(() => { resetting = false; });
    return;
  }
  const pair = form.closest("article.pair");
  if (!pair || pair.hidden || performance.now() - shownAt < SETTLE) return;
  if (button.name) fields.set(button.name, button.value);
  fields.set("ms", String(Math.round(performance.now() - shownAt)));
  answered.add(pair.dataset.view);
  const skipped = url.endsWith("/skip");
  pair.remove();
  const next = stage.querySelector("article.pair");
  show(next);
  const what = skipped ? "Skipped." : "Saved.";
  say(next ? `${what} Here is the next pair.` : `${what} The next pair is on its way.`, false);
  for (const undo of stage.querySelectorAll('.bar [data-key="u"]')) undo.disabled = false;
  line = line.then(() => send(url, fields, false));
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches(".bar, .alone") || !event.submitter) return;
  event.preventDefault();
  choose(form, event.submitter);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const where = shown() || notice();
  const key = event.key.toLowerCase();
  if (!"120xsu".includes(key) || key.length !== 1) return;
  const button = where.querySelector(`[data-key="${key}"]:not(:disabled)`);
  if (!button) return;
  event.preventDefault();
  choose(button.form, button);
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && !shown()) reconcile(event.detail.xhr.responseText, false);
});

// A tab that nobody looks at takes no pair away from somebody else.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden) event.preventDefault();
});

// Behind the first pair there may have been none yet. Not for ever: looking keeps a pair ours.
setInterval(async () => {
  const alone = stage.querySelectorAll("article.pair").length === 1;
  if (!alone || !shown() || document.hidden || resetting || looks >= LOOKS) return;
  looks += 1;
  try {
    const reply = await fetch("/rate/next");
    if (reply.ok && !resetting) reconcile(await reply.text(), false);
  } catch {
    // The next answer will say that there is no connection.
  }
}, 1500);

// Who goes away lets go of the pair soon, so that nobody's answers wait behind it.
function here() {
  const form = stage.querySelector("article.pair .bar");
  if (!form || document.hidden || performance.now() - touched > LEFT) return;
  const body = new URLSearchParams({ token: form.elements.token.value });
  fetch("/rate/here", { method: "POST", body }).catch(() => {});
}
for (const kind of ["pointerdown", "pointermove", "keydown", "scroll"]) {
  addEventListener(kind, () => { touched = performance.now(); }, { passive: true });
}
document.addEventListener("visibilitychange", here);
setInterval(here, BEAT);
here();

addEventListener("beforeunload", () => { resetting = true; });
if (said.textContent) say(said.textContent, true);
