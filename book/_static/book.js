// A formula that scrolls sideways in its own box must be reachable with the Tab key; a few pixels are rounding.
const ROUNDING = 8;
function reachWideFormulas() {
  for (const box of document.querySelectorAll(".math, .math mjx-container")) {
    const scrolls = getComputedStyle(box).overflowX !== "visible" && box.scrollWidth > box.clientWidth + ROUNDING;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
window.addEventListener("load", () => {
  window.MathJax?.startup?.promise.then(reachWideFormulas);
  document.addEventListener("toggle", reachWideFormulas, true);
  window.addEventListener("resize", reachWideFormulas);
});
