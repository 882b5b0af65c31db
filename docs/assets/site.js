// What scrolls sideways can be reached by the keyboard: wide tables and code, on a phone. https://dequeuniversity.com/rules/axe/4.10/scrollable-region-focusable
addEventListener("load", () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, .md-typeset pre")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
