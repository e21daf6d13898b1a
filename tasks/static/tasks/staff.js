"use strict";
// Times in the zone of the browser; the cookie tells the filters which days these are.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.cookie = `zone=${zone}; path=/admin/; samesite=lax; max-age=31536000`;

  const two = (number) => String(number).padStart(2, "0");
  const written = (at) =>
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}`;

  document.addEventListener("DOMContentLoaded", () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      time.title = `${time.dateTime} (shown in ${zone})`;
      time.textContent = written(new Date(time.dateTime));
    }
  });
}
