"use strict";
(() => {
  const text = (id) => document.getElementById(id).textContent;
  const dark = JSON.parse(text("dark"));
  const night = matchMedia("(prefers-color-scheme: dark)");
  const boxes = [...document.querySelectorAll("[data-figure]")];
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, showTips: false };
  let width = null; // on paper; null: as wide as the box

  function draw() {
    const twin = night.matches && width === null;
    for (const box of boxes) {
      const figure = JSON.parse(text(box.dataset.figure), (_, value) =>
        twin && typeof value === "string" && Object.hasOwn(dark, value) ? dark[value] : value,
      );
      if (width !== null) {
        const side = box.closest(".pair") ? width / 2 - 16 : width;
        Object.assign(figure.layout, { width: side, autosize: false });
      }
      Plotly.react(box, figure.data, figure.layout, config);
    }
  }

  function paper(wide) {
    width = wide;
    draw();
  }

  document.documentElement.classList.add("drawn");
  // With the figures drawn their tables may wait; without this script they stay open.
  for (const details of document.querySelectorAll("[data-alternative]")) details.open = false;
  draw();
  night.addEventListener("change", draw);
  addEventListener("beforeprint", () => paper(640));
  addEventListener("afterprint", () => paper(null));
})();
