"use strict";
setInterval(async () => {
  const answer = await fetch(location).catch(() => null);
  const main = document.querySelector("main");
  if (!answer || !answer.ok) { main.querySelector("p").textContent = "NOT UPDATED: the server does not answer."; return; }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  if (fresh && fresh.innerHTML !== main.innerHTML) main.replaceWith(fresh);
}, 15000);
