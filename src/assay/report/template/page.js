"use strict";
(() => {
  const root = document.documentElement;
  const scheme = document.getElementById("scheme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    scheme.textContent = dark() ? "Light" : "Dark";
    scheme.setAttribute("aria-label", dark() ? "Switch to light colours" : "Switch to dark colours");
  };
  scheme.hidden = false;
  scheme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  label();

  const keys = document.querySelector(".keys");
  if (keys) {
    keys.hidden = false;
    keys.addEventListener("click", (event) => {
      const pressed = event.target.closest("button");
      if (!pressed) return;
      const on = pressed.getAttribute("aria-pressed") !== "true";
      for (const key of keys.querySelectorAll("button")) key.setAttribute("aria-pressed", String(on && key === pressed));
      if (on) document.body.dataset.focus = pressed.dataset.key;
      else delete document.body.dataset.focus;
    });
  }

  const tip = document.getElementById("tip");
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest("[data-words]");
    tip.hidden = !mark;
    if (mark) tip.textContent = mark.dataset.words;
  });
  document.addEventListener("pointermove", (event) => {
    if (tip.hidden) return;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const above = event.clientY - tip.offsetHeight - 12;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above < 4 ? event.clientY + 18 : above}px`;
  });
})();
