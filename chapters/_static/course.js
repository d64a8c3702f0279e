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

// A page with code has a switch in its header: no code, the ideas (as it is without a script), or all of it. The choice
// is remembered, for a phone's width apart from a wide window's.
(() => {
  const CHOICES = ["none", "ideas", "all"];
  const key = matchMedia("(max-width: 599.98px)").matches ? "course-code-narrow" : "course-code";
  const remember = (...value) => {
    try {
      return value.length ? localStorage.setItem(key, value[0]) : localStorage.getItem(key);
    } catch { // a browser may refuse to store for pages from a disk
      return null;
    }
  };
  const show = (choice) => {
    document.documentElement.dataset.code = choice;
    for (const fold of document.querySelectorAll(".code-fold")) fold.open = choice === "all";
  };
  document.addEventListener("DOMContentLoaded", () => {
    const header = document.querySelector(".article-header-buttons");
    if (!header || !document.querySelector(".bd-article .cell_input")) return;
    const stored = remember();
    const chosen = CHOICES.includes(stored) ? stored : "ideas";
    const fields = document.createElement("fieldset");
    fields.className = "code-switch";
    const choice = (name) => `<label><input type="radio" name="code" value="${name}"><span>${name}</span></label>`;
    fields.innerHTML = `<legend>Code</legend><div>${CHOICES.map(choice).join("")}</div>`;
    fields.querySelector(`[value=${chosen}]`).checked = true;
    fields.addEventListener("change", (event) => {
      remember(event.target.value);
      show(event.target.value);
    });
    header.prepend(fields);
    if (chosen !== "ideas") show(chosen);
  });
})();
