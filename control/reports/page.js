"use strict";
// The list of failed jobs: the first few at first, or all that match what is typed or chosen.
const FIRST = 20;
const rows = Array.from(document.querySelectorAll(".failure"));
const typed = document.getElementById("search");
const chosen = document.getElementById("reason");
const told = document.getElementById("found");
const more = document.getElementById("more");
let all = false;
let texts = null;

function show() {
  const words = typed.value.toLowerCase().split(/\s+/).filter(Boolean);
  const group = chosen ? chosen.value : "";
  if (words.length && !texts) {
    texts = rows.map((row) => row.textContent.toLowerCase());
  }
  let matching = 0;
  rows.forEach((row, i) => {
    const fits =
      (group === "" || row.dataset.group === group) && words.every((word) => texts[i].includes(word));
    matching += fits;
    row.hidden = !fits || (!all && matching > FIRST);
  });
  const shown = all ? matching : Math.min(matching, FIRST);
  more.hidden = shown === matching;
  more.textContent = "Show all " + matching.toLocaleString("en-US");
  const filtered = words.length > 0 || group !== "";
  const jobs = matching === 1 ? " job" : " jobs";
  told.textContent = filtered ? (matching ? matching.toLocaleString("en-US") : "No") + jobs + " found" : "";
}

if (rows.length) {
  document.documentElement.classList.add("with-script");
  typed.addEventListener("input", () => { all = false; show(); });
  if (chosen) {
    chosen.addEventListener("change", () => { all = false; show(); });
  }
  more.addEventListener("click", () => { all = true; show(); });
  show();
}
