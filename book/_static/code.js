/* One switch for the code of a page, beside the page's other buttons. Without a script each cell has a fold. */
(() => {
  "use strict";

  const start = () => {
    const folds = document.querySelectorAll("article details.hide");
    const place = document.querySelector(".article-header-buttons");
    if (!folds.length || !place) return;
    const root = document.documentElement;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm code-switch";
    const show = (isShown) => {
      root.classList.toggle("code-hidden", !isShown);
      for (const fold of folds) fold.open = isShown;
      button.textContent = isShown ? "Hide the code" : "Show the code";
    };
    button.addEventListener("click", () => show(root.classList.contains("code-hidden")));
    place.prepend(button);
    for (const link of document.querySelectorAll("article .code-link")) {
      link.addEventListener("click", () => show(true));
    }
    show(false);
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
