"use strict";
// What a page does besides showing itself: it follows the running cycle. Without scripts it is as of its loading.
(function () {
  const bar = document.querySelector("[data-progress]");
  const text = document.querySelector("[data-progress-text]");
  if (!text || !window.EventSource) return;
  let cycle = text.dataset.cycle, phase = text.dataset.phase;

  async function refresh() {
    const busy = document.activeElement && document.activeElement.closest("form, details");
    if (busy || !document.querySelector("[data-refresh]")) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-refresh]");
    const now = document.querySelector("[data-refresh]");
    if (next && now) now.replaceWith(next);
  }

  const stream = new EventSource(text.dataset.events);
  stream.addEventListener("progress", function (event) {
    const p = JSON.parse(event.data);
    if (text.textContent !== p.text) text.textContent = p.text;
    if (bar) {
      bar.hidden = p.phase !== "applying" && p.phase !== "planning";
      if (p.phase === "applying" && p.total > 0) {
        bar.max = p.total;
        bar.value = p.done;
      } else {
        bar.removeAttribute("value");
      }
    }
    const ended = String(p.cycle || 0) !== cycle || (p.phase === "waiting" && phase !== "waiting");
    cycle = String(p.cycle || 0);
    phase = p.phase;
    if (ended) refresh().catch(function () { /* the page stays as it is */ });
  });
  addEventListener("pagehide", function () { stream.close(); });
})();
