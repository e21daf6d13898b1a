"use strict";
// Shows times in the time zone of the browser. The cookie makes the filters use the same zone.
{
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.cookie = `zone=${zone}; path=${document.currentScript.dataset.path}; samesite=lax; max-age=31536000`;

  const digits = (number, length = 2) => String(number).padStart(length, "0");
  const format = (at) =>
    `${digits(at.getFullYear(), 4)}-${digits(at.getMonth() + 1)}-${digits(at.getDate())} ` +
    `${digits(at.getHours())}:${digits(at.getMinutes())}`;

  document.addEventListener("DOMContentLoaded", () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      time.title = `${time.dateTime} (shown in ${zone})`;
      time.textContent = format(new Date(time.dateTime));
    }
  });
}
