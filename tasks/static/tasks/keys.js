"use strict";
// Keys for lists of tasks. They move the real focus, so that Enter opens a task without our help, and
// screen readers follow. Staff can switch them off (WCAG 2.1.4).
{
  const OFF = "keys-off";
  const FIELDS = "textarea, select, [contenteditable], input:not([type=checkbox])";

  const rows = () => [...document.querySelectorAll("#result_list tbody tr")];
  const current = () => document.activeElement?.closest("#result_list tbody tr");
  const isOn = () => localStorage.getItem(OFF) === null;

  const move = (step) => {
    const all = rows();
    const row = current();
    const next = row ? all[all.indexOf(row) + step] : all.at(step > 0 ? 0 : -1);
    next?.querySelector("th a, td a")?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };

  const KEYS = {
    "/": () => document.getElementById("searchbar")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    x: () => current()?.querySelector("input.action-select")?.click(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (!isOn() || !Object.hasOwn(KEYS, event.key) || event.target.closest?.(FIELDS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  const toggle = document.getElementById("keys-switch");
  if (toggle) {
    const show = () => {
      toggle.hidden = false;
      toggle.setAttribute("aria-pressed", isOn());
      toggle.textContent = isOn() ? "Keys are on" : "Keys are off";
    };
    toggle.addEventListener("click", () => {
      if (isOn()) localStorage.setItem(OFF, "");
      else localStorage.removeItem(OFF);
      show();
    });
    show();
  }
}
