/* What a citation or a term stands for, beside the link, for mouse and keyboard (deepid_book.py puts it into `title`).
   The hint stays while the pointer is on it and goes with Escape. Without scripts the browser shows the title. */
(() => {
  const DELAY = 150;
  let hint = null, owner = null, timer = 0;

  const hide = () => {
    clearTimeout(timer);
    if (owner) owner.removeAttribute("aria-describedby");
    if (hint) hint.hidden = true;
    owner = null;
  };

  const later = action => {
    clearTimeout(timer);
    timer = setTimeout(action, DELAY);
  };

  const create = article => {
    hint = article.appendChild(document.createElement("div"));
    hint.id = "link-hint";
    hint.className = "link-hint";
    hint.setAttribute("role", "tooltip");
    hint.hidden = true;
    hint.addEventListener("pointerenter", () => clearTimeout(timer));
    hint.addEventListener("pointerleave", () => later(hide));
  };

  const show = link => {
    clearTimeout(timer);
    if (owner && owner !== link) hide();
    owner = link;
    hint.textContent = link.dataset.hint;
    hint.hidden = false;
    link.setAttribute("aria-describedby", hint.id);
    place();
  };

  const place = () => {
    if (!owner) return;
    // below the link's first line, above it where there is no room, and never beyond the sides
    const line = owner.getClientRects()[0], box = hint.getBoundingClientRect();
    const below = line.bottom + box.height + 4 < document.documentElement.clientHeight;
    hint.style.top = `${below ? line.bottom + 2 : Math.max(4, line.top - box.height - 2)}px`;
    hint.style.left = `${Math.max(8, Math.min(line.left, document.documentElement.clientWidth - box.width - 8))}px`;
  };

  const start = () => {
    const article = document.querySelector("article");
    if (!article) return;
    const links = article.querySelectorAll('a[title][href*="bibliography"], a[title][href*="#term-"]');
    if (!links.length) return;
    create(article);
    for (const link of links) {
      link.dataset.hint = link.title;
      link.removeAttribute("title");
      link.addEventListener("pointerenter", event => event.pointerType !== "touch" && later(() => show(link)));
      link.addEventListener("pointerleave", () => later(hide));
      link.addEventListener("focus", () => show(link));
      link.addEventListener("blur", hide);
    }
    document.addEventListener("keydown", event => event.key === "Escape" && hide());
    document.addEventListener("scroll", place, { passive: true });
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();

// The theme lets the keyboard reach what scrolls when the page is loaded; what is unfolded later is reached as well.
function reachWhatScrolls() {
  document.querySelectorAll("article pre").forEach((pre) => {
    if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;
  });
}
for (const event of ["click", "toggle"]) {
  document.addEventListener(event, () => requestAnimationFrame(reachWhatScrolls), true);
}
