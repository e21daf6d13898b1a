"use strict";
// Suggests users in the form of a new task. Without scripts, staff type an id or an e-mail address.
document.addEventListener("DOMContentLoaded", () => {
  const PAUSE = 200;
  const input = document.querySelector("input[data-people]");
  if (!input) return;

  const list = document.createElement("datalist");
  list.id = `${input.id}_people`;
  const status = document.createElement("div");
  status.setAttribute("role", "status");
  input.setAttribute("list", list.id);
  input.after(list);
  (document.getElementById(`${input.id}_helptext`) ?? list.parentElement).append(status);

  let people = [];
  let timer;
  let latest = 0;

  const describe = (tooMany) => {
    const chosen = people.find(({ value, id }) => [value, id].includes(input.value));
    status.textContent = chosen
      ? `\u2068${chosen.name}\u2069, id ${chosen.id}`
      : tooMany ? "More than 20 users begin like this. Enter more." : "";
  };

  const suggest = async () => {
    const number = ++latest;
    const text = input.value.trim();
    if (!text) return;
    const response = await fetch(`${input.dataset.people}?${new URLSearchParams({ q: text })}`);
    if (!response.ok || number !== latest) return;
    const answer = await response.json();
    people = answer.people;
    list.replaceChildren(
      ...people.map(({ value, name, id }) => {
        const option = document.createElement("option");
        option.value = value;
        option.label = `\u2068${name}\u2069 \u00b7 ${value} \u00b7 ${id}`;
        return option;
      }),
    );
    describe(answer.are_too_many);
  };

  input.addEventListener("input", () => {
    describe(false);
    clearTimeout(timer);
    timer = setTimeout(() => suggest().catch(() => {}), PAUSE);
  });
});
