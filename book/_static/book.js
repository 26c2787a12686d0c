// A formula that scrolls sideways in its own box must be reachable with the Tab key.
function reachWideFormulas() {
  for (const box of document.querySelectorAll(".math, .math mjx-container")) {
    const scrolls = getComputedStyle(box).overflowX !== "visible" && box.scrollWidth > box.clientWidth;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
window.addEventListener("load", () => {
  window.MathJax?.startup?.promise.then(reachWideFormulas);
  document.addEventListener("toggle", reachWideFormulas, true);
  window.addEventListener("resize", reachWideFormulas);
});
