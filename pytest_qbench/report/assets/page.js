const tone = { pass: "good", fail: "bad", inconclusive: "open", "not gated": "open" };

/** One item by its position, with names instead of codes. */
function reader(items, pictures) {
  const text = (column, i) => { const p = items[column] ? items[column][i] : -1; return p < 0 ? null : items.texts[p]; };
  const hadBefore = (i) => Boolean(items.was_status) && items.statuses[items.was_status[i]] !== "missing";
  const side = (i, prefix) => ({
    status: items.statuses[items[prefix + "status"][i]],
    choice: text(prefix + "choice", i), reply: text(prefix + "reply", i), value: items[prefix + "value"][i],
  });
  return (i) => ({
    i, id: items.id[i], task: items.tasks[items.task[i]], dataset: text("dataset", i), slices: text("slices", i),
    question: text("question", i), options: (text("options", i) || "").split("\n").filter(Boolean), answer: text("answer", i),
    reference: items.reference ? items.reference[i] : null, image: text("image", i), golden: text("golden", i),
    judge: text("judge", i), error: text("error", i), picture: pictures[text("image", i)],
    now: side(i, ""), was: hadBefore(i) ? side(i, "was_") : null,
  });
}

/** What came out, in a few words: the option chosen, the reply, the score. */
function outcome(side) {
  if (!side) return "-";
  if (side.choice !== null) return side.choice;
  if (side.value !== null && side.value !== undefined) return number(side.value);
  return side.reply !== null ? side.reply : side.status;
}

function changed(items, i) {
  if (!items.was_status) return "";
  const [now, was] = [items.statuses[items.status[i]], items.statuses[items.was_status[i]]];
  if (was === "missing") return "";
  if ((now === "correct") !== (was === "correct")) return now === "correct" ? "gained" : "lost";
  return "";
}

function picture(item, open) {
  if (!item.picture) return element("div", "none", item.image ? `no thumbnail: ${item.image}` : "no image");
  const image = element("img");
  image.src = item.picture;
  image.alt = item.image;
  image.loading = "lazy";
  if (open) image.addEventListener("click", open);
  return image;
}

function options(item) {
  const list = element("ul", "options");
  for (const option of item.options) {
    const line = element("li", option === item.answer ? "right" : "", option);
    if (option === item.answer) line.append(element("span", "tag good", "right"));
    if (item.was && option === item.was.choice) line.append(element("span", "tag soft", "before"));
    if (option === item.now.choice) line.append(element("span", "tag", "now"));
    list.append(line);
  }
  return list;
}

const link = (item) => "#item=" + encodeURIComponent(`${item.task}/${item.id}`);

function linked(item) {
  const made = element("a", "", item.id);
  made.href = link(item);
  return made;
}

/** The dialog with everything known about an item. */
function showItem(item) {
  const dialog = at("item");
  const close = element("button", "close", "Close");
  close.type = "button";
  close.addEventListener("click", () => dialog.close());
  const told = (name, value) => (value === null || value === undefined || value === "" ? null : element("p", "", element("span", "soft", name + ": "), value));
  const said = (name, value) => (value ? element("div", "", element("h3", "", name), element("div", "text", value)) : null);
  const side = (name, s) => s && element("div", "", told(name, `${s.status}, ${outcome(s)}`), s.reply !== null ? said(`Reply ${name}`, s.reply) : null);
  dialog.replaceChildren(
    close, element("h3", "", linked(item)),
    element("div", "picture", picture(item)),
    ...[
      told("task", `${item.task}, ${item.dataset}`), told("counts for", item.slices), told("image", item.image),
      item.question && element("p", "", item.question), item.options.length ? options(item) : null,
      told("MOS", item.reference), side("before", item.was), side("now", item.now),
      told("judge, round by round", item.judge), said("Golden text", item.golden), said("Error", item.error),
    ].filter(Boolean),
  );
  if (!dialog.open) dialog.showModal();
}

function card(item, way, before, after) {
  const open = () => { location.hash = link(item); };
  const words = element("div", "",
    element("p", "", linked(item), element("span", `tag ${way === "lost" ? "bad" : way === "gained" ? "good" : "soft"}`, way)),
    item.question ? element("p", "", item.question) : null,
    item.options.length ? options(item) : null,
    item.reference !== null && item.reference !== undefined ? element("p", "soft", `MOS ${item.reference}`) : null,
    element("p", "", element("span", "soft", "before "), short(before ?? "-", 160), element("span", "soft", " → now "), short(after ?? "-", 160)),
  );
  return element("div", `card ${way}`, picture(item, open), words);
}

function showHeader(data) {
  const { summary } = data;
  const word = summary.verdict.split(":")[0];
  at("verdict").textContent = summary.verdict;
  at("verdict").className = ["PASS", "BASELINE RECORDED"].includes(word) ? "good" : ["REGRESSED", "INVALID", "FAILED"].includes(word) ? "bad" : "open";
  const conditions = Object.fromEntries(data.conditions);
  const mini = conditions.data === "mini" ? " (embedded trial data: it is not Q-Bench)" : "";
  const base = summary.baseline.missing ? `none (${summary.baseline.missing})` : `${summary.baseline.name} of ${summary.baseline.recorded}`;
  at("about").textContent = `model ${data.model}, data ${conditions.data}${mini}, baseline ${base}, began ${summary.began}`;
  const c = summary.items;
  at("counts").textContent = `${c.scored} of ${c.total} items scored, ${c.unparsed} unparsed, ${c.errors} errors, ${c.total - c.scored - c.unparsed - c.errors} missing`;
  const errors = (summary.errors || []).map((e) => `error: ${e.error}`);
  at("notes").append(...[...summary.notes, ...errors, ...(summary.missing || []).map((m) => `missing: ${m}`)].map((n) => element("li", "", n)));
  at("remarks").append(...data.remarks.map(([text, warns]) => element("li", warns ? "open" : "", text)));
}

function showGates(data) {
  const rows = [];
  for (const gate of data.gates) {
    const reason = element("td", "words", gate.reason);
    reason.colSpan = 4;
    rows.push({ className: "gate", cells: [gate.name, element("td", tone[gate.outcome], gate.verdict), reason] });
    for (const r of gate.rows.filter((one) => one.margin !== null))
      rows.push({ className: "sub", cells: [r.label, r.verdict ?? "-", signed(r.delta), interval(r.delta_ci, (v) => signed(v)), r.margin, r.mde === null ? "-" : number(r.mde)] });
  }
  fillTable(at("gate-table"), [element("th", "words", "gate"), "verdict", "change", "interval", "margin", "MDE"], rows);
  const judged = data.gates.flatMap((gate) => gate.rows.filter((r) => r.delta_ci).map((r) => ({ ...r, tone: r.verdict === "regressed" ? "bad" : ["pass", "improved"].includes(r.verdict) ? "good" : "open" }))).reverse();
  at("gate-chart").hidden = !judged.length;
  if (!judged.length) return;
  at("gate-chart").style.height = `${110 + 34 * judged.length}px`;
  chart(at("gate-chart"), () => {
    const y = judged.map((r) => plain(short(r.label, 40)));
    const ticks = (x, symbol, name, of, size) => ({ x, y, name, type: "scatter", mode: "markers", marker: { symbol, size, color: of, line: { width: 2, color: of } } });
    return {
      traces: [
        { ...ticks(judged.map((r) => -r.margin), "line-ns", "margin", colour("mark"), 18), hovertemplate: "margin %{x}<extra></extra>" },
        {
          ...ticks(judged.map((r) => r.delta), "circle", "change with interval", judged.map((r) => colour(r.tone)), 9),
          error_x: { type: "data", symmetric: false, array: judged.map((r) => r.delta_ci[1] - r.delta), arrayminus: judged.map((r) => r.delta - r.delta_ci[0]), color: colour("now"), thickness: 2.5 },
          text: judged.map((r) => `${plain(r.label)}<br>${signed(r.delta)} in ${interval(r.delta_ci, (v) => signed(v))}`), hovertemplate: "%{text}<extra></extra>",
        },
      ],
      layout: { title: title("Change against the baseline: left of the mark it is beyond the margin"), xaxis: { zeroline: true, zerolinewidth: 2 }, yaxis: { type: "category" } },
    };
  });
}

function showFlips(data, read) {
  const urgency = ["fail", "inconclusive", "not gated", "pass"]; // what failed the run comes first
  const gates = [...data.gates].sort((a, b) => urgency.indexOf(a.outcome) - urgency.indexOf(b.outcome));
  const flips = gates.flatMap((gate) => ["lost", "gained"].flatMap((way) => gate[way].map(([i, before, after]) => ({ i, way, before, after, gate: gate.name }))));
  at("flips").hidden = !data.gates.length;
  const count = (way) => flips.filter((f) => f.way === way).length;
  at("flip-note").textContent = flips.length ? `${count("lost")} items lost, ${count("gained")} gained against the baseline` : "No item came out otherwise than in the baseline, or there was nothing to compare with.";
  let shown = 0;
  const more = () => {
    const next = flips.slice(shown, shown + 24);
    at("flip-list").append(...next.map((f) => card(read(f.i), f.way, f.before, f.after)));
    shown += next.length;
    at("flip-more").hidden = shown >= flips.length;
  };
  at("flip-more").addEventListener("click", more);
  more();
}

function showMetrics(data) {
  const families = [["perception.accuracy", "Accuracy"], ["description", "Judged means"], ["assessment.srcc", "SRCC"], ["assessment.plcc", "PLCC"]];
  for (const [prefix, words] of families) {
    const wanted = (m) => (prefix === "description" ? /^description\.(completeness|preciseness|relevance|sum)$/.test(m.name) : m.name === prefix);
    const rows = data.metrics.filter((m) => wanted(m) && m.value !== null).reverse();
    if (!rows.length) continue;
    const box = element("div", "chart");
    box.style.height = `${120 + 26 * rows.length}px`;
    at("metric-charts").append(box);
    chart(box, () => {
      const y = rows.map((m) => plain(short(prefix === "description" ? `${m.dataset} ${m.name.split(".")[1]}` : m.label.replace(m.name, "").trim(), 34)));
      const hover = rows.map((m) => `${plain(m.label)}<br>${number(m.value)} ${interval(m.ci)}, ${m.n} items<br>baseline ${m.baseline === null ? "-" : number(m.baseline)}`);
      return {
        traces: [
          { x: rows.map((m) => m.baseline), y, name: "baseline", type: "scatter", mode: "markers", marker: { symbol: "line-ns", size: 14, color: colour("mark"), line: { width: 2, color: colour("mark") } }, hoverinfo: "skip" },
          { x: rows.map((m) => m.value), y, name: "this run, 95 % interval", type: "scatter", mode: "markers", text: hover, hovertemplate: "%{text}<extra></extra>", marker: { size: 8, color: colour("now") },
            error_x: { type: "data", symmetric: false, array: rows.map((m) => (m.ci ? m.ci[1] - m.value : 0)), arrayminus: rows.map((m) => (m.ci ? m.value - m.ci[0] : 0)), color: colour("now"), thickness: 2 } },
        ],
        layout: { title: title(words), yaxis: { type: "category" } },
      };
    });
  }
  const words = element("th", "words", "metric");
  fillTable(at("metric-table"), [words, "value", "baseline", "change", "95 % interval", "items", "verdict", "note"], data.metrics.map((m) => ({
    cells: [m.label, number(m.value), m.baseline === null ? "-" : number(m.baseline), signed(m.delta), interval(m.ci), m.n, m.verdict ?? "", element("td", "words", m.note ?? "")],
  })));
}

function showHeat(data) {
  at("heat").hidden = !data.heat.length;
  for (const map of data.heat) {
    const box = element("div", "chart");
    box.style.height = `${140 + 70 * map.types.length}px`;
    at("heat-charts").append(box);
    const share = (right, n) => (n ? right / n : null);
    chart(box, () => {
      const z = map.n.map((row, i) => row.map((n, j) => share(map.right[i][j], n)));
      const text = z.map((row, i) => row.map((v, j) => {
        if (v === null) return "";
        const delta = map.before ? `<br>${signed(v - share(map.before[i][j], map.n[i][j]), 3)}` : "";
        return `${v.toFixed(3)}${delta}<br>n = ${map.n[i][j]}`;
      }));
      const words = (name) => plain(name.replace(/_/g, " ").replace("in context", "in-context"));
      return {
        traces: [{ type: "heatmap", z, x: map.concerns.map(words), y: map.types.map(words), text, texttemplate: "%{text}", hovertemplate: "%{y}, %{x}<br>%{text}<extra></extra>", zmin: 0, zmax: 1, colorscale: "Viridis", showscale: false, xgap: 2, ygap: 2 }],
        layout: { title: title(`Accuracy by type and concern: ${map.dataset}${map.before ? " (change against the baseline below it)" : ""}`), yaxis: { autorange: "reversed", type: "category" }, xaxis: { type: "category" } },
      };
    });
  }
}

function showBias(data) {
  const of = (name, dataset, slice = null) => data.metrics.find((m) => m.name === `perception.${name}` && m.dataset === dataset && m.slice === slice);
  const datasets = [...new Set(data.metrics.filter((m) => m.name === "perception.accuracy").map((m) => m.dataset))];
  for (const dataset of datasets) {
    const [said, yes, no] = ["yes_rate", "accuracy_yes", "accuracy_no"].map((name) => of(name, dataset));
    if (said && said.value !== null && yes && no && yes.n + no.n > 0) {
      const box = element("div", "chart");
      box.style.height = "300px";
      at("bias-charts").append(box);
      const truth = yes.n / (yes.n + no.n);
      const bars = [["says yes", said.value], ["yes is right", truth], ["right where yes", yes.value], ["right where no", no.value]];
      chart(box, () => ({
        traces: [{ type: "bar", x: bars.map((b) => b[0]), y: bars.map((b) => b[1]), text: bars.map((b) => number(b[1], 3)), marker: { color: [colour("now"), colour("was"), colour("now"), colour("now")] }, hovertemplate: "%{x}: %{text}<extra></extra>" }],
        layout: { title: title(`Yes or no: ${dataset}, ${yes.n + no.n} questions`), yaxis: { range: [0, 1.05] } },
      }));
    }
    const slices = data.metrics.filter((m) => m.name === "perception.position_bias" && m.dataset === dataset && m.slice !== null);
    if (slices.length) {
      const box = element("div", "chart");
      box.style.height = "300px";
      at("bias-charts").append(box);
      chart(box, () => ({
        traces: [{ type: "bar", x: slices.map((m) => m.slice.split("=")[1]), y: slices.map((m) => m.value), text: slices.map((m) => signed(m.value)), marker: { color: colour("now") }, hovertemplate: "%{x}: %{text}<extra></extra>" }],
        layout: { title: title(`Position: chosen minus right, as shares of the answers (${dataset})`), yaxis: { zeroline: true } },
      }));
    }
  }
  at("bias").hidden = !at("bias-charts").children.length;
}

function showJudge(data) {
  at("judge").hidden = !data.rounds.length;
  at("judge-note").textContent = data.rounds.map((r) => `${r.dataset} ${r.dimension}: rounds differ on ${r.differ} of ${r.n} descriptions`).join("; ");
  for (const one of data.rounds) {
    const box = element("div", "chart");
    box.style.height = "280px";
    at("judge-charts").append(box);
    const names = ["0", "1", "2", "unreadable"];
    chart(box, () => ({
      traces: names.map((name, k) => ({
        type: "bar", name, x: one.rounds.map((_, i) => `round ${i + 1}`), y: one.rounds.map((counts) => counts[k] / one.n),
        marker: { color: [colour("bad"), colour("open"), colour("good"), colour("was")][k] },
        text: one.rounds.map((counts) => counts[k]), hovertemplate: `%{x}: %{text} of ${one.n} got ${name}<extra></extra>`,
      })).filter((trace) => trace.y.some((v) => v > 0)),
      layout: { barmode: "stack", title: title(`${one.dimension}, ${one.dataset}: share of each verdict`), yaxis: { range: [0, 1] } },
    }));
  }
}

function showScatter(data, read) {
  const names = Object.keys(data.outliers);
  at("scatter").hidden = !names.length;
  if (!names.length) return;
  const select = at("scatter-dataset");
  select.append(...names.map((name) => { const o = element("option", "", name); o.value = name; return o; }));
  const { items } = data;
  const places = new Map(names.map((name) => [name, []]));
  items.task.forEach((task, i) => {
    const found = items.tasks[task] === "assessment" && items.value[i] !== null && places.get(items.texts[items.dataset[i]]);
    if (found) found.push(i);
  });
  const make = () => {
    const name = select.value;
    const all = places.get(name);
    const odd = data.outliers[name];
    const step = Math.max(1, Math.ceil(all.length / data.points));
    const some = all.filter((_, k) => k % step === 0);
    at("scatter-note").textContent = `${some.length === all.length ? "all" : `every ${step}th`} of ${all.length} items, and the ${odd.length} furthest from their rank by MOS: click one`;
    const points = (which, extra) => ({
      type: "scatter", mode: "markers", x: which.map((i) => items.reference[i]), y: which.map((i) => items.value[i]), customdata: which,
      text: which.map((i) => plain(items.id[i])), hovertemplate: "%{text}<br>MOS %{x}, score %{y}<extra></extra>", ...extra,
    });
    return {
      traces: [
        points(some, { name: "items", marker: { size: 4, opacity: 0.45, color: colour("now") } }),
        points(odd.map(([i]) => i), { name: "outliers", marker: { size: 9, symbol: "diamond", color: colour("mark") } }),
      ],
      layout: { title: title(`${name}: quality score against MOS`), xaxis: { title: { text: "MOS" } }, yaxis: { title: { text: "score" } }, hovermode: "closest" },
    };
  };
  const list = () => at("outlier-list").replaceChildren(...data.outliers[select.value].slice(0, 12).map(([i, moved]) => {
    const item = read(i);
    return card(item, "outlier", item.was ? outcome(item.was) : "-", `${outcome(item.now)}, ranked ${Math.abs(100 * moved).toFixed(0)} % of the items too ${moved > 0 ? "high" : "low"}`);
  }));
  chart(at("scatter-chart"), make, (box) => box.on("plotly_click", (event) => { location.hash = link(read(event.points[0].customdata)); }));
  list();
  select.addEventListener("change", () => { const again = drawn.get(at("scatter-chart")); if (again) again(); list(); });
}

/** The list of all items: filters, search, sorting; only the rows in view exist. */
function showItems(data, read) {
  const { items } = data;
  const n = items.id.length;
  const height = 32;
  const said = (i, prefix) => {
    const choice = items[prefix + "choice"] ? items[prefix + "choice"][i] : -1;
    if (choice >= 0) return items.texts[choice];
    const value = items[prefix + "value"][i];
    if (value !== null) return value;
    const reply = items[prefix + "reply"] ? items[prefix + "reply"][i] : -1;
    return reply >= 0 ? items.texts[reply] : "";
  };
  const text = (column, i) => (items[column] && items[column][i] >= 0 ? items.texts[items[column][i]] : "");
  const reference = (i) => text("answer", i) || (items.reference ? items.reference[i] ?? "" : "");
  const columns = [
    ["item", (i) => items.id[i]], ["result", (i) => items.statuses[items.status[i]]], ["question", (i) => text("question", i) || text("dataset", i)],
    ["now", (i) => said(i, "")], ["right or MOS", reference], ["before", (i) => (items.was_status ? said(i, "was_") : "")],
  ];
  // One lower-case text per item and one per distinct text, so that a search touches each once.
  const ids = items.id.map((id) => id.toLowerCase());
  const texts = items.texts.map((t) => t.toLowerCase());
  const searched = ["question", "choice", "reply", "was_reply", "answer", "error", "image"].filter((c) => items[c]).map((c) => items[c]);
  const chosen = { task: "", dataset: "", result: "" };
  let order = Array.from({ length: n }, (_, i) => i);
  let found = order;
  let sorted = { column: -1, down: false };

  function apply() {
    const wanted = at("search").value.trim().toLowerCase();
    const hit = wanted ? texts.map((t) => t.includes(wanted)) : [];
    found = order.filter((i) => {
      if (chosen.task !== "" && items.task[i] !== Number(chosen.task)) return false;
      if (chosen.dataset !== "" && items.dataset[i] !== Number(chosen.dataset)) return false;
      if (chosen.result !== "" && !matches(i)) return false;
      return !wanted || ids[i].includes(wanted) || searched.some((column) => column[i] >= 0 && hit[column[i]]);
    });
    at("found").textContent = `${found.length} of ${n} items`;
    at("item-space").style.height = `${found.length * height}px`;
    at("item-rows").scrollTop = 0;
    render();
  }

  function matches(i) {
    if (chosen.result === "lost" || chosen.result === "gained") return changed(items, i) === chosen.result;
    return items.statuses[items.status[i]] === chosen.result;
  }

  function render() {
    const box = at("item-rows");
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 5);
    const rows = found.slice(first, first + Math.ceil(box.clientHeight / height) + 10).map((i, k) => {
      const way = changed(items, i);
      const row = element("div", "row", ...columns.map(([, cell]) => element("span", "", cell(i))));
      row.children[1].className = way === "lost" ? "bad" : way === "gained" ? "good" : "";
      if (way) row.children[1].textContent += ` (${way})`;
      row.style.top = `${(first + k) * height}px`;
      row.setAttribute("role", "row");
      row.addEventListener("click", () => { location.hash = link(read(i)); });
      return row;
    });
    at("item-space").replaceChildren(...rows);
  }

  function sort(column) {
    sorted = { column, down: sorted.column === column && !sorted.down };
    const cell = columns[column][1];
    const keys = Array.from({ length: n }, (_, i) => cell(i));
    const sign = sorted.down ? -1 : 1;
    const rank = (k) => (typeof k === "number" ? 0 : k === "" ? 2 : 1); // numbers, texts, nothing
    order = Array.from({ length: n }, (_, i) => i).sort((a, b) => {
      const [x, y] = [keys[a], keys[b]];
      return rank(x) - rank(y) || (x < y ? -sign : x > y ? sign : a - b);
    });
    heads.forEach((head, k) => { head.textContent = columns[k][0] + (k === column ? (sorted.down ? " ▼" : " ▲") : ""); });
    apply();
  }

  const heads = columns.map(([name], k) => {
    const head = element("button", "", name);
    head.type = "button";
    head.addEventListener("click", () => sort(k));
    return head;
  });
  at("item-head").append(...heads);
  const choose = (id, key, all, entries) => {
    const select = at(id);
    select.append(...[["", all], ...entries].map(([value, name]) => { const o = element("option", "", name); o.value = value; return o; }));
    select.addEventListener("change", () => { chosen[key] = select.value; apply(); });
    select.hidden = entries.length < 2;
  };
  const used = (column) => [...new Set(items[column])];
  choose("by-task", "task", "every task", used("task").map((t) => [t, items.tasks[t]]));
  choose("by-dataset", "dataset", "every dataset", used("dataset").map((d) => [d, items.texts[d]]));
  choose("by-result", "result", "every result", [...used("status").map((s) => items.statuses[s]), ...(items.was_status ? ["lost", "gained"] : [])].map((s) => [s, s]));
  at("search").addEventListener("input", apply);
  at("item-rows").addEventListener("scroll", () => requestAnimationFrame(render));
  apply();
}

function showConditions(data) {
  fillTable(at("condition-table"), [element("th", "words", "condition"), element("th", "words", "value")], data.conditions.map(([key, value]) => ({ cells: [key, element("td", "words", value)] })));
  const left = data.summary.left_out;
  at("left-out").hidden = !left.length;
  at("left-out").querySelector("summary").textContent = `${left.length} entries of the data left out`;
  at("left-out").querySelector("ul").append(...left.slice(0, 500).map((e) => element("li", "", `${e.dataset} ${e.entry}: ${e.reason}`)));
}

function openFromAddress(data, read) {
  const wanted = location.hash.startsWith("#item=") ? decodeURIComponent(location.hash.slice(6)) : null;
  if (wanted === null) return at("item").close();
  const { items } = data;
  const i = items.id.findIndex((id, k) => `${items.tasks[items.task[k]]}/${id}` === wanted);
  if (i >= 0) showItem(read(i));
}

unpacked().then((data) => {
  const read = reader(data.items, JSON.parse(at("pictures").textContent));
  showHeader(data);
  showGates(data);
  showFlips(data, read);
  showMetrics(data);
  showHeat(data);
  showBias(data);
  showJudge(data);
  showScatter(data, read);
  showItems(data, read);
  showConditions(data);
  parts();
  addEventListener("hashchange", () => openFromAddress(data, read));
  at("item").addEventListener("close", () => { if (location.hash.startsWith("#item=")) history.replaceState(null, "", location.pathname + location.search); });
  openFromAddress(data, read);
  document.body.dataset.ready = "yes";
}).catch((error) => {
  at("verdict").textContent = `This page could not be shown: ${error}`;
  throw error;
});
