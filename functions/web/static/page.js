"use strict";
// Polls one document, replaces the sections that changed, and sends what a person confirms. Nothing else.
const body = document.body, fresh = document.getElementById("fresh"), dialog = document.getElementById("confirm");
const query = location.search, POLL = 3000, LOST = 8000, STALE = 20000, HOLD = 1200;
let tag = body.dataset.tag, seen = Date.now(), chosen = null, holding = null, refused = false;
const part = (id) => document.getElementById(id);
const api = (path) => "/api/" + path + query;

async function poll() {
  try {
    const options = { headers: { "If-None-Match": tag }, cache: "no-store", signal: AbortSignal.timeout(LOST) };
    const answer = await fetch(body.dataset.source + query, options);
    refused = answer.status === 401 || answer.status === 403;
    if (answer.status === 200) {
      const found = await answer.json();
      tag = found.tag;
      for (const [name, html] of Object.entries(found.sections)) replace(part("plan-" + name), html);
    }
    if (answer.status === 200 || answer.status === 304) seen = Date.now();
  } catch (error) { /* The line says since when nothing was heard. */ }
  setTimeout(poll, POLL);
}

function replace(section, html) {
  if (!section) { location.reload(); return; }
  const focused = section.contains(document.activeElement) ? document.activeElement.id : "";
  const opened = [...section.querySelectorAll("details[open]")].map((one) => one.id);
  section.innerHTML = html;
  opened.forEach((id) => { const one = part(id); if (one) one.open = true; });
  if (focused && part(focused)) part(focused).focus();
  keepKey(section);
  tick();
}

function keepKey(where) {
  if (query) where.querySelectorAll("a[data-keep]").forEach((one) => { one.search = query; });
}

function tick() {
  const age = Date.now() - seen, stale = age > STALE;
  const why = refused ? "sign in again" : "the app does not answer", since = spoken(age / 1000);
  fresh.textContent = stale ? "NOT UPDATED for " + since + ": " + why : "updated " + since + " ago";
  fresh.classList.toggle("stale", stale);
  body.classList.toggle("stale-page", stale);
  document.querySelectorAll("[data-since]").forEach((one) => {
    one.textContent = ", " + spoken((Date.now() - new Date(one.dataset.since)) / 1000);
  });
}

function spoken(seconds) {
  const whole = Math.max(0, Math.round(seconds)), minutes = Math.floor(whole / 60);
  if (whole < 60) return whole + " s";
  return minutes < 60 ? minutes + " min" : Math.floor(minutes / 60) + " h " + (minutes % 60) + " min";
}

// Acting: a dialog repeats the forecast; the button in it is held, not clicked

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-button]");
  if (button) open(button);
});

async function open(button) {
  chosen = JSON.parse(button.dataset.button);
  part("confirm-title").textContent = chosen.label;
  part("confirm-question").textContent = chosen.question;
  part("confirm-name-wanted").textContent = chosen.name_it;
  part("confirm-name-label").hidden = !chosen.name_it;
  ["confirm-name", "confirm-reason"].forEach((id) => { part(id).value = ""; });
  part("confirm-answer").textContent = "";
  part("confirm-forecast").textContent = chosen.forecast ? "Looking at both sites ..." : "";
  part("confirm-yes").disabled = chosen.forecast; // The forecast moves the button, which must not happen under a finger.
  dialog.showModal();
  const mine = chosen, answer = chosen.forecast ? await send("?what_if=true") : null;
  if (chosen !== mine || !dialog.open) return; // Another dialog was opened meanwhile.
  if (answer) showForecast(answer);
  part("confirm-yes").disabled = false;
}

function showForecast(answer) {
  const found = answer.body, lines = [];
  if (found.expected_seconds) lines.push("Expected: " + spoken(found.expected_seconds) + " after the decision.");
  if ("data_age" in found) lines.push(found.data_age === null ? "Azure's data are of unknown age." : "Azure's data are " + spoken(found.data_age) + " old at most.");
  lines.push(...(found.does || []), ...(found.warnings || []));
  (found.blockers || []).forEach((one) => lines.push("Blocked: " + one));
  if (!lines.length && found.detail) lines.push(found.detail);
  const list = document.createElement("ul");
  lines.forEach((text) => { const one = document.createElement("li"); one.textContent = text; list.append(one); });
  part("confirm-forecast").replaceChildren(list);
  const serves = (found.blockers || []).some((one) => one.includes("acknowledge_primary_healthy"));
  if (serves) {
    chosen.body.acknowledge_primary_healthy = true;
    chosen.name_it = chosen.name_it || chosen.path.split("/")[1];
    part("confirm-name-wanted").textContent = chosen.name_it;
    part("confirm-name-label").hidden = false;
  }
}

async function send(more = "") {
  const reason = part("confirm-reason").value.trim() || "From the page: " + chosen.label;
  const url = api(chosen.path) + (more ? (query ? "&" : "?") + more.slice(1) : "");
  try {
    const answer = await fetch(url, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...chosen.body, reason }),
    });
    return { status: answer.status, body: await answer.json() };
  } catch (error) { return { status: 0, body: { detail: "The app does not answer. Try again." } }; }
}

async function act() {
  if (part("confirm-yes").disabled) return;
  const answer = part("confirm-answer"), name = part("confirm-name").value.trim();
  if (chosen.name_it && name !== chosen.name_it) { answer.textContent = "Type " + chosen.name_it + " first."; return; }
  part("confirm-yes").disabled = true;
  const mine = chosen, result = await send();
  if (chosen !== mine) return;
  if (result.status >= 200 && result.status < 300) { dialog.close(); return; }
  answer.textContent = result.body.detail || "Answered " + result.status + ".";
  part("confirm-yes").disabled = false;
}

const yes = part("confirm-yes");
function press(event) {
  if (yes.disabled) return;
  if (event.type === "keydown" && (event.repeat || !["Enter", " "].includes(event.key))) return;
  if (event.type === "keydown") event.preventDefault();
  release();
  yes.classList.add("held");
  holding = setTimeout(() => { release(); act(); }, HOLD);
}
function release() { clearTimeout(holding); yes.classList.remove("held"); }
["pointerdown", "keydown"].forEach((kind) => yes.addEventListener(kind, press));
["pointerup", "pointerleave", "pointercancel", "keyup", "blur"].forEach((kind) => yes.addEventListener(kind, release));
dialog.addEventListener("close", () => { release(); chosen = null; });

part("confirm-no").addEventListener("click", () => dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("input")) return;
  event.preventDefault();
  part("confirm-answer").textContent = "Hold the button to confirm, or press Back.";
});

keepKey(document);
tick();
setInterval(tick, 1000);
setTimeout(poll, POLL);
