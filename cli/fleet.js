"use strict";
async function update() {
  const summary = document.querySelector("main p");
  try {
    const answer = await fetch(location, {signal: AbortSignal.timeout(10000)});
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok || !fresh.querySelector("main table")) throw new Error("not this page");
    summary.replaceWith(fresh.querySelector("main p"));
    const table = document.querySelector("main table");
    const rows = fresh.querySelector("main table");
    if (rows.innerHTML !== table.innerHTML) table.replaceWith(rows);
  } catch {
    const stale = "NOT UPDATED: the server does not answer. ";
    if (!summary.textContent.startsWith(stale)) summary.prepend(stale);
  }
}
setInterval(update, 15000);
