// Plots with uPlot, of numbers that a part of a page carries: {"x": [seconds], "series": [{"label", "values", "colour"}], "most"}.
"use strict";
(() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const draw = (place) => {
    const plot = JSON.parse(place.dataset.plot);
    place.replaceChildren();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
    const lines = plot.series.map((one) => ({
      label: one.label, stroke: colour(one.colour ?? "--accent"), width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false },
    }));
    const options = {
      width: Math.max(place.clientWidth, 200), height: 200, series: [{}, ...lines], axes: [axis, { ...axis, size: 60 }],
      scales: { y: { range: [0, Math.max(plot.most, 1)] } }, legend: { show: false }, cursor: { y: false },
    };
    new uPlot(options, [plot.x, ...plot.series.map((one) => one.values)], place);
  };
  const drawAll = () => document.querySelectorAll("[data-plot]").forEach(draw);
  document.addEventListener("htmx:afterSettle", (event) => event.detail.target.querySelectorAll("[data-plot]").forEach(draw));
  document.addEventListener("click", (event) => { if (event.target.closest("[data-does=theme]")) setTimeout(drawAll); });
  let due = 0;
  addEventListener("resize", () => { clearTimeout(due); due = setTimeout(drawAll, 200); });
})();
