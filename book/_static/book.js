// A formula that scrolls sideways in its own box must be reachable with the Tab key. One that is a few pixels too wide,
// mostly by rounding, need not scroll: it may hang over.
const HANGOVER = 8;
function reachWideFormulas() {
  for (const box of document.querySelectorAll(".math, .math mjx-container")) {
    box.style.overflow = "";
    box.removeAttribute("tabindex");
    if (getComputedStyle(box).overflowX === "visible") continue;
    const excess = box.scrollWidth - box.clientWidth;
    if (excess > HANGOVER) box.tabIndex = 0;
    else if (excess > 0) box.style.overflow = "visible";
  }
}
window.addEventListener("load", () => {
  window.MathJax?.startup?.promise.then(reachWideFormulas);
  document.addEventListener("toggle", reachWideFormulas, true);
  window.addEventListener("resize", reachWideFormulas);
});

// A link to a claim among folded identities unfolds them; not all browsers do that by themselves.
function unfoldTarget() {
  const details = document.getElementById(location.hash.slice(1))?.closest("details");
  if (details) details.open = true;
}
window.addEventListener("load", unfoldTarget);
window.addEventListener("hashchange", unfoldTarget);
