document.getElementById("action").submit();
