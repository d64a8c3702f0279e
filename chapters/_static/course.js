// A formula wider than the page scrolls inside itself (course.css). The mouse and the finger can do that anyway;
// this lets the keyboard reach it too, as the theme does for wide code and tables.
(() => {
  const reach = () => {
    for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
      else formula.removeAttribute("tabindex");
    }
  };
  window.addEventListener("load", () => {
    if (!window.MathJax) return;
    MathJax.startup.promise.then(reach);
    window.addEventListener("resize", reach);
  });
})();
