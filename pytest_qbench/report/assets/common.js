"use strict";
// Everything that comes from the data is set as text: `text` and `element` never parse markup.

/** Unpack the data of the page. */
async function unpacked() {
  const bytes = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const at = (id) => document.getElementById(id);

/** Make an element with a class and children: nodes, or anything else as text. */
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children.filter((c) => c !== null && c !== undefined).map((c) => (c instanceof Node ? c : String(c))));
  return made;
}

function fillTable(table, head, rows) {
  const line = (cells, cell) => cells.map((c) => (c instanceof Node && c.tagName === cell.toUpperCase() ? c : element(cell, "", c)));
  table.replaceChildren(
    element("thead", "", element("tr", "", ...line(head, "th"))),
    element("tbody", "", ...rows.map(({ cells, className }) => element("tr", className || "", ...line(cells, "td")))),
  );
}

const number = (value, digits = 4) => (value === null || value === undefined ? "undefined" : value.toFixed(digits));
const signed = (value, digits = 4) => (value === null || value === undefined ? "-" : (value < 0 ? "" : "+") + value.toFixed(digits));
const interval = (pair, show = (v) => v.toFixed(3)) => (pair ? `[${show(pair[0])}, ${show(pair[1])}]` : "");

// The plotting library reads a little markup in labels; what stands here is text.
const plain = (text) => String(text).replace(/[\u0000-\u001f]/g, " ").replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const short = (text, length) => (text.length <= length ? text : text.slice(0, length - 1) + "…");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const drawn = new Map(); // chart -> how to draw it again in other colours

/** Draw a chart once it comes into view; `make` returns its traces and layout. */
function chart(box, make, then) {
  const draw = () => {
    const { traces, layout } = make();
    const axis = { gridcolor: colour("line"), zerolinecolor: colour("soft"), linecolor: colour("line"), automargin: true };
    const axes = Object.fromEntries(["xaxis", "yaxis"].map((name) => [name, { ...axis, ...(layout[name] || {}) }]));
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("ink"), size: 12 },
      margin: { l: 10, r: 20, t: 44, b: 40 }, hoverlabel: { align: "left" }, dragmode: false,
      legend: { orientation: "h", y: -0.2 },
    };
    return Plotly.react(box, traces, { ...base, ...layout, ...axes }, { displayModeBar: false, responsive: true });
  };
  drawn.set(box, null);
  new IntersectionObserver((seen, observer) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    observer.disconnect();
    drawn.set(box, draw);
    draw().then(() => { box.dataset.drawn = "yes"; if (then) then(box); });
  }, { rootMargin: "300px" }).observe(box);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((draw) => draw && draw()));

const title = (text) => ({ text: plain(text), x: 0.02, xanchor: "left", font: { size: 13 } });

/** Titles of the sections as a bar of links; sections without content go. */
function parts() {
  for (const section of document.querySelectorAll("main > section")) {
    if (section.hidden) continue;
    section.prepend(element("h2", "", section.dataset.title));
    const link = element("a", "", section.dataset.title);
    link.href = "#" + section.id;
    at("parts").append(link);
  }
}
