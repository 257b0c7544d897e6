function showHistory(data) {
  const { runs } = data;
  at("verdict").textContent = `${runs.length} runs in ${data.folder}`;
  at("notes").append(...data.left_out.map((reason) => element("li", "", `left out: ${reason}`)));
  fillTable(at("run-table"), ["run", "began", "of", "baseline", "verdict"].map((name) => element("th", "words", name)), [...runs].reverse().map((run) => ({
    cells: [run.run, run.began, run.series, run.baseline.filter(Boolean).join(" of ") + (run.changed ? " (changed)" : ""), run.verdict + (run.recorded ? " (became the baseline)" : "")].map((text) => element("td", "words", text)),
  })));
  const labels = [...new Set(runs.flatMap((run) => run.metrics.map((m) => m[0])))];
  const totals = new Set(runs.flatMap((run) => run.metrics.filter((m) => m[5]).map((m) => m[0])));
  const series = [...new Set(runs.map((run) => run.series))];
  const hues = ["#1f77b4", "#e8690b", "#2a9d5c", "#b06bd6", "#c0392b", "#17a2b8", "#a08000", "#8c6d5a"];
  const draw = () => {
    drawn.clear();
    at("time-charts").replaceChildren();
    for (const label of labels.filter((name) => at("slices").checked || totals.has(name))) {
      const box = element("div", "chart");
      box.style.height = "300px";
      at("time-charts").append(box);
      chart(box, () => ({
        traces: series.map((one, k) => {
          const points = runs.filter((run) => run.series === one).flatMap((run) => run.metrics.filter((m) => m[0] === label && m[1] !== null).map((m) => ({ run, m })));
          const hue = hues[k % hues.length];
          const hover = points.map(({ run, m }) => `${plain(run.run)}<br>${number(m[1])} ${interval(m[2])}, ${m[3]} items<br>${plain(run.verdict)}<br>baseline ${plain(run.baseline.filter(Boolean).join(" of "))}${run.changed ? " (changed)" : ""}`);
          return {
            type: "scatter", mode: "lines+markers", name: plain(short(one, 40)), x: points.map(({ run }) => run.began), y: points.map(({ m }) => m[1]), text: hover, hovertemplate: "%{text}<extra></extra>",
            line: { color: hue }, marker: { color: hue, size: points.map(({ run }) => (run.changed || run.recorded ? 12 : 7)), symbol: points.map(({ run }) => (run.changed || run.recorded ? "diamond" : "circle")) },
            error_y: { type: "data", symmetric: false, array: points.map(({ m }) => (m[2] ? m[2][1] - m[1] : 0)), arrayminus: points.map(({ m }) => (m[2] ? m[1] - m[2][0] : 0)), color: hue, thickness: 1 },
          };
        }).filter((trace) => trace.x.length),
        layout: {
          title: title(label), xaxis: { type: "date" }, showlegend: series.length > 1,
          // A line where a run was compared with another baseline than the run before it.
          shapes: runs.filter((run) => run.changed).map((run) => ({ type: "line", x0: run.began, x1: run.began, y0: 0, y1: 1, yref: "paper", line: { color: colour("mark"), width: 1.5, dash: "dot" } })),
          annotations: runs.filter((run) => run.changed).map((run) => ({ x: run.began, y: 1, yref: "paper", text: "baseline", showarrow: false, yanchor: "bottom", font: { size: 10, color: colour("mark") } })),
        },
      }));
    }
  };
  at("slices").addEventListener("change", draw);
  draw();
}

unpacked().then((data) => {
  showHistory(data);
  parts();
  document.body.dataset.ready = "yes";
}).catch((error) => {
  at("verdict").textContent = `This page could not be shown: ${error}`;
  throw error;
});
