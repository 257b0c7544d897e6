"use strict";
// The page reads without this script. It adds tabs, the list of all items, and the dialog of an item.
// Everything that comes from the data is set as text: `element` never parses markup.

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

/** One panel at a time, with a bar of buttons; a filter by slice where the cards of a panel have slices. */
function tabs(box) {
  const panels = [...box.querySelectorAll(":scope > .panel")];
  if (panels.length > 1) {
    const bar = element("div", "tablist");
    bar.setAttribute("role", "tablist");
    const choose = (chosen) => panels.forEach((panel, k) => {
      panel.hidden = panel !== chosen;
      bar.children[k].setAttribute("aria-selected", String(panel === chosen));
    });
    for (const panel of panels) {
      const button = element("button", "", panel.dataset.tab);
      button.type = "button";
      button.setAttribute("role", "tab");
      button.addEventListener("click", () => choose(panel));
      bar.append(button);
    }
    box.prepend(bar);
    choose(panels[0]);
  }
  for (const panel of panels) {
    const cards = [...panel.querySelectorAll(".card[data-slices]")];
    const slices = [...new Set(cards.flatMap((card) => card.dataset.slices.split(", ")))].sort();
    if (slices.length < 2) continue;
    const select = element("select", "", ...["every slice", ...slices].map((name, k) => { const o = element("option", "", name); o.value = k ? name : ""; return o; }));
    select.setAttribute("aria-label", "Slice");
    select.addEventListener("change", () => cards.forEach((card) => { card.hidden = select.value !== "" && !card.dataset.slices.split(", ").includes(select.value); }));
    panel.querySelector("p").after(element("div", "controls", select));
  }
}

/** Ranks of the scores of each dataset as shares, before and now, and of the MOS: what a reader can compare. */
function ranked(items) {
  const byDataset = new Map();
  items.task.forEach((task, i) => {
    if (items.tasks[task] !== "assessment") return;
    if (!byDataset.has(items.dataset[i])) byDataset.set(items.dataset[i], []);
    byDataset.get(items.dataset[i]).push(i);
  });
  const ranks = (column) => {
    const found = new Array(items.id.length).fill(null);
    if (!items[column]) return found;
    for (const group of byDataset.values()) {
      const some = group.filter((i) => typeof items[column][i] === "number").sort((a, b) => items[column][a] - items[column][b]);
      for (let k = 0; k < some.length;) {
        let end = k;
        while (end < some.length && items[column][some[end]] === items[column][some[k]]) end += 1;
        for (let j = k; j < end; j += 1) found[some[j]] = (k + end + 1) / 2 / some.length;
        k = end;
      }
    }
    return found;
  };
  return { now: ranks("value"), was: ranks("was_value"), mos: ranks("reference") };
}

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
    judge: text("judge", i), error: text("error", i), picture: pictures.indexOf(text("image", i)),
    now: side(i, ""), was: hadBefore(i) ? side(i, "was_") : null,
  });
}

const percent = (share) => `${Math.round(100 * share)} %`;

/** What came out, in a few words: the option chosen, the reply, the score. */
function outcome(side) {
  if (side.choice !== null) return side.choice;
  if (side.value !== null && side.value !== undefined && side.value !== -1) return String(side.value);
  return side.reply !== null ? side.reply : side.status;
}

function picture(item) {
  if (item.picture < 0) return element("div", "thumb none", item.image ? `no thumbnail: ${item.image}` : "no image");
  const make = (name, attributes) => { const made = document.createElementNS("http://www.w3.org/2000/svg", name); Object.entries(attributes).forEach(([k, v]) => made.setAttribute(k, v)); return made; };
  const drawn = make("svg", { class: "thumb", viewBox: "0 0 200 200", role: "img", "aria-label": item.image });
  drawn.append(make("use", { href: `#picture${item.picture}` }));
  return drawn;
}

function options(item) {
  const list = element("ul", "options");
  for (const option of item.options) {
    const line = element("li", option === item.answer ? "right" : "", option);
    if (option === item.answer) line.append(element("span", "chip good", "right"));
    if (item.was && option === item.was.choice) line.append(element("span", "chip soft", "before"));
    if (option === item.now.choice) line.append(element("span", "chip", "now"));
    list.append(line);
  }
  return list;
}

const link = (item) => "#item=" + encodeURIComponent(`${item.task}/${item.id}`);

/** The dialog with everything known about an item. */
function showItem(item, ranks) {
  const dialog = at("item");
  const close = element("button", "close", "Close");
  close.type = "button";
  close.addEventListener("click", () => dialog.close());
  const title = element("a", "", item.id);
  title.href = link(item);
  const told = (name, value) => (value === null || value === undefined || value === "" ? null : element("p", "", element("span", "soft", name + ": "), value));
  const said = (name, value) => (value ? element("div", "", element("h3", "", name), element("div", "text", value)) : null);
  const rank = (of) => (ranks[of][item.i] === null ? "" : `, rank ${percent(ranks[of][item.i])}`);
  const side = (name, s, of) => s && element("div", "", told(name, `${s.status}, ${outcome(s)}${rank(of)}`), s.reply !== null ? said(`Reply ${name}`, s.reply) : null);
  dialog.replaceChildren(
    close, element("h3", "", title), picture(item),
    ...[
      told("task", `${item.task}, ${item.dataset}`), told("counts for", item.slices), told("image", item.image),
      item.question && element("p", "", item.question), item.options.length ? options(item) : null,
      item.reference === null || item.reference === -1 ? null : told("MOS", `${item.reference}${rank("mos")}`), side("before", item.was, "was"), side("now", item.now, "now"),
      told("judge, round by round", item.judge), said("Golden text", item.golden), said("Error", item.error),
    ].filter(Boolean),
  );
  if (!dialog.open) dialog.showModal();
}

/** The list of all items, the most harmful first: filters, search, sorting; only the rows in view exist. */
function showItems(items, read, ranks) {
  const n = items.id.length;
  const height = 32;
  const isScore = (i) => items.tasks[items.task[i]] === "assessment";
  const status = (i, prefix = "") => items.statuses[items[prefix + "status"][i]];
  const hadBefore = (i) => Boolean(items.was_status) && status(i, "was_") !== "missing";
  // Loss of an item, in [-1, 1]: of an answer 1, of a description its share of the points, of a score its rank's.
  const harm = Float64Array.from({ length: n }, (_, i) => {
    if (!hadBefore(i)) return 0;
    if (isScore(i)) return ranks.now[i] === null || ranks.was[i] === null ? 0 : Math.abs(ranks.now[i] - ranks.mos[i]) - Math.abs(ranks.was[i] - ranks.mos[i]);
    const [now, was] = [items.value[i], items.was_value ? items.was_value[i] : null];
    if (items.tasks[items.task[i]] === "description") return now === null || was === null ? 0 : (was - now) / 6;
    return Number(status(i, "was_") === "correct") - Number(status(i) === "correct");
  });
  const way = (i) => { const least = isScore(i) ? 0.1 : 0; return harm[i] > least ? "lost" : harm[i] < -least ? "gained" : ""; };
  const text = (column, i) => (items[column] && items[column][i] >= 0 ? items.texts[items[column][i]] : "");
  const said = (i, prefix, rank) => {
    if (isScore(i)) return rank[i] === null ? "" : percent(rank[i]);
    const choice = text(prefix + "choice", i);
    const value = items[prefix + "value"] ? items[prefix + "value"][i] : null;
    return choice || (typeof value === "number" && value !== -1 && items.tasks[items.task[i]] === "description" ? value : text(prefix + "reply", i));
  };
  const truth = (i) => (isScore(i) ? (ranks.mos[i] === null ? "" : percent(ranks.mos[i])) : text("answer", i));
  const columns = [
    ["item", (i) => items.id[i]], ["result", (i) => status(i) + (way(i) ? ` (${way(i)})` : "")], ["question", (i) => text("question", i) || text("dataset", i)],
    ["before", (i) => (hadBefore(i) ? said(i, "was_", ranks.was) : "")], ["now", (i) => said(i, "", ranks.now)], ["right", truth],
  ];
  // One lower-case text per item and one per distinct text, so that a search touches each once.
  const ids = items.id.map((id) => id.toLowerCase());
  const texts = items.texts.map((t) => t.toLowerCase());
  const searched = ["question", "choice", "reply", "was_reply", "answer", "error", "image"].filter((c) => items[c]).map((c) => items[c]);
  const chosen = { task: "", dataset: "", result: "" };
  const urgency = { error: 3, missing: 3, unparsed: 2, wrong: 1 };
  let order = Array.from({ length: n }, (_, i) => i).sort((a, b) => harm[b] - harm[a] || (urgency[status(b)] || 0) - (urgency[status(a)] || 0) || a - b);
  let found = order;
  let sorted = { column: -1, down: false };

  function apply() {
    const wanted = at("search").value.trim().toLowerCase();
    const hit = wanted ? texts.map((t) => t.includes(wanted)) : [];
    found = order.filter((i) => {
      if (chosen.task !== "" && items.task[i] !== Number(chosen.task)) return false;
      if (chosen.dataset !== "" && items.dataset[i] !== Number(chosen.dataset)) return false;
      if (chosen.result !== "" && way(i) !== chosen.result && status(i) !== chosen.result) return false;
      return !wanted || ids[i].includes(wanted) || searched.some((column) => column[i] >= 0 && hit[column[i]]);
    });
    at("found").textContent = `${found.length} of ${n} items`;
    at("item-space").style.height = `${found.length * height}px`;
    at("item-rows").scrollTop = 0;
    render();
  }

  function render() {
    const box = at("item-rows");
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 5);
    const rows = found.slice(first, first + Math.ceil(box.clientHeight / height) + 10).map((i, k) => {
      const row = element("div", "row", ...columns.map(([, cell]) => element("span", "", cell(i))));
      row.children[1].className = way(i) === "lost" ? "bad" : way(i) === "gained" ? "good" : "";
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
    const keys = Array.from({ length: n }, (_, i) => { const key = cell(i); return typeof key === "string" && /^\d+ %$/.test(key) ? parseInt(key, 10) : key; });
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
  at("item-list").hidden = false;
  apply();
}

function openFromAddress(items, read, ranks) {
  const wanted = location.hash.startsWith("#item=") ? decodeURIComponent(location.hash.slice(6)) : null;
  if (wanted === null) return at("item").close();
  const i = items.id.findIndex((id, k) => `${items.tasks[items.task[k]]}/${id}` === wanted);
  if (i >= 0) showItem(read(i), ranks);
}

document.querySelectorAll(".tabs").forEach(tabs);
unpacked().then(({ items, pictures }) => {
  const read = reader(items, pictures);
  const ranks = ranked(items);
  showItems(items, read, ranks);
  addEventListener("hashchange", () => openFromAddress(items, read, ranks));
  at("item").addEventListener("close", () => { if (location.hash.startsWith("#item=")) history.replaceState(null, "", location.pathname + location.search); });
  openFromAddress(items, read, ranks);
  document.body.dataset.ready = "yes";
}).catch((error) => {
  at("items").append(element("p", "bad", `The list of items could not be shown: ${error}`));
  throw error;
});
