// What is searched for stays; everything else is hidden until the field is empty again.
document.getElementById("search").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const each of document.querySelectorAll("[data-find]")) {
    each.hidden = wanted !== "" && !each.textContent.toLowerCase().includes(wanted);
  }
});
