// Takes the token out of the address, where others might see it, and hides the field.
"use strict";
const field = document.getElementById("id_token");
if (location.hash.length > 1) {
  field.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
if (field.value) field.closest(".form-row").hidden = true;
