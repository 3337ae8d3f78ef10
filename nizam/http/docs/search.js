// Search over the operations, the guide and the names of fields. The pages need none of this.
"use strict";

(() => {
  const place = document.getElementById("search");
  const input = document.createElement("input");
  const results = document.createElement("ul");
  input.type = "search";
  input.placeholder = "Search ( / )";
  input.setAttribute("aria-label", "Search the reference");
  results.setAttribute("aria-live", "polite");
  results.hidden = true;
  place.append(input, results);

  let index = null;
  const load = async () => {
    if (index === null) {
      index = [];
      const answer = await fetch("/docs/search.json");
      if (answer.ok) {
        index = (await answer.json()).map((it) => ({ ...it, text: it.words.toLowerCase() }));
        show();
      }
    }
  };

  const score = (it, words) => {
    const title = it.title.toLowerCase();
    return words.reduce((sum, word) => sum + (title.includes(word) ? 2 : 1), 0);
  };

  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length === 0 ? [] : (index ?? [])
      .filter((it) => words.every((word) => it.text.includes(word)))
      .sort((one, other) => score(other, words) - score(one, words))
      .slice(0, 20);
    results.replaceChildren(...found.map((it) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = it.url;
      link.textContent = it.title;
      link.addEventListener("click", () => { results.hidden = true; });
      item.append(link);
      return item;
    }));
    if (words.length > 0 && found.length === 0) {
      const nothing = document.createElement("li");
      nothing.textContent = "Nothing found";
      results.append(nothing);
    }
    results.hidden = words.length === 0;
  };

  const links = () => [...results.querySelectorAll("a")];
  const move = (step) => {
    const all = links();
    const next = all.indexOf(document.activeElement) + step;
    (next < 0 ? input : all[Math.min(next, all.length - 1)])?.focus();
  };

  input.addEventListener("focus", load);
  input.addEventListener("input", () => { load(); show(); });
  place.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); move(1); }
    if (event.key === "ArrowUp") { event.preventDefault(); move(-1); }
    if (event.key === "Escape") { results.hidden = true; input.blur(); }
    if (event.key === "Enter" && document.activeElement === input) { links()[0]?.click(); }
  });
  document.addEventListener("click", (event) => {
    if (!place.contains(event.target)) { results.hidden = true; }
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      input.focus();
    }
  });

  // On a narrow screen the contents are out of the way until they are asked for.
  const contents = document.querySelector(".contents");
  if (window.matchMedia("(max-width: 60rem)").matches) { contents.open = false; }
})();
