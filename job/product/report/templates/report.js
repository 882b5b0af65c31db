"use strict";
(async () => {
  const { charts, map } = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const options = { actions: false, renderer: "svg", tooltip: false, logLevel: 1 };
  const make = (tag, text = "", css = "") => Object.assign(document.createElement(tag), { textContent: text, className: css });

  // dark and light: the system's wish until the button says otherwise
  const theme = $("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const showTheme = () => theme.setAttribute("aria-pressed", isDark());
  theme.hidden = false;
  theme.onclick = () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; showTheme(); };
  dark.onchange = showTheme;
  showTheme();

  const copy = $("copy");
  copy.hidden = !navigator.clipboard;
  copy.onclick = async () => { await navigator.clipboard.writeText($("command").textContent); copy.textContent = "Copied"; };

  for (const id of ["labels", "scree", "stages", "accuracy", "probe", "leaks"]) if (charts[id] && $(id)) await vegaEmbed($(id), charts[id], options);

  const points = map.points.map(([scores, label, name, tile], row) => ({ row, scores, label, name, tile }));
  const titles = map.labels.map((label) => label || "(no label)");
  const components = points.length ? points[0].scores.length : 0;
  let chosen = [...map.chosen], shown = { across: 0, up: Math.min(1, components - 1) }, whole;
  const value = (point, axis) => (axis === "up" && components < 2 ? 0 : point.scores[shown[axis]]);

  function corners() {
    const span = (axis) => {
      const values = points.map((point) => value(point, axis));
      const [low, high] = [Math.min(...values), Math.max(...values)], margin = (high - low || 1) * 0.04;
      return [low - margin, high + margin];
    };
    const [x0, x1] = span("across"), [y0, y1] = span("up");
    return { x0, x1, y0, y1 };
  }
  function rows() {
    const slots = charts.palette.length * charts.shapes.length;
    const all = points.map((point) => ({ x: value(point, "across"), y: value(point, "up"), slot: chosen.indexOf(point.label) % slots, row: point.row }));
    return all.sort((a, b) => Math.min(a.slot, 0) - Math.min(b.slot, 0)); // grey ones below
  }
  whole = corners();
  charts.map.params = charts.map.params.map((param) => ({ ...param, value: whole[param.name] ?? param.value }));
  const { view } = await vegaEmbed($("map"), { ...charts.map, datasets: { points: rows() } }, options);
  const see = (seen) => { for (const name in seen) view.signal(name, seen[name]); return view.runAsync(); };
  const seen = () => Object.fromEntries(["x0", "x1", "y0", "y1"].map((name) => [name, view.signal(name)]));

  async function draw(reset) {
    view.data("points", rows());
    if (reset) { whole = corners(); await see(whole); } else await view.runAsync();
  }
  function zoom(factor, at = [0.5, 0.5], move = [0, 0]) {
    const { x0, x1, y0, y1 } = seen(), width = x1 - x0, height = y1 - y0;
    const x = x0 + width * (at[0] + move[0]), y = y0 + height * (at[1] + move[1]);
    return see({ x0: x - width * factor * at[0], x1: x + width * factor * (1 - at[0]), y0: y - height * factor * at[1], y1: y + height * factor * (1 - at[1]) });
  }

  // axes and buttons
  for (const axis of ["across", "up"]) {
    const select = $(axis);
    for (let i = 0; i < components; i++) select.append(new Option(`PC${i + 1}`, i, false, i === shown[axis]));
    select.onchange = () => { shown[axis] = Number(select.value); draw(true); };
  }
  $("in-button").onclick = () => zoom(1 / 1.5);
  $("out-button").onclick = () => zoom(1.5);
  $("all-button").onclick = () => see(whole);
  const keys = { "+": [1 / 1.5], "-": [1.5], ArrowLeft: [1, undefined, [-0.15, 0]], ArrowRight: [1, undefined, [0.15, 0]], ArrowUp: [1, undefined, [0, 0.15]], ArrowDown: [1, undefined, [0, -0.15]] };
  $("map").onkeydown = (event) => { if (keys[event.key]) { event.preventDefault(); zoom(...keys[event.key]); } };

  // mouse: place within the plot, 0..1 from its lower left corner
  function place(event) {
    const box = $("map").querySelector(".role-frame .background").getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
  }
  $("map").addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== $("map")) return; // the page scrolls
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, place(event));
  }, { passive: false });
  let from = null;
  $("map").onpointerdown = (event) => { if (event.pointerType === "mouse") from = place(event); };
  addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = place(event);
    zoom(1, undefined, [from[0] - to[0], from[1] - to[1]]);
    from = to;
  });
  addEventListener("pointerup", () => { from = null; });

  // a photo's thumbnail and name
  const tile = (point) => {
    const found = make("span", "", "tile");
    if (point.tile >= 0) found.style.backgroundPosition = `${-(point.tile % map.columns) * map.tile}px ${-Math.floor(point.tile / map.columns) * map.tile}px`;
    return found;
  };
  const tip = $("tip");
  function tell(point, x, y) {
    tip.replaceChildren(...(point.tile >= 0 ? [tile(point)] : []), make("b", titles[point.label]), make("small", point.name));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 16, innerWidth - width - 8))}px`;
    tip.style.top = `${y + height + 24 > innerHeight ? Math.max(8, y - height - 16) : y + 16}px`;
  }
  const light = (row) => { view.signal("lit", row); view.runAsync(); };
  const hide = () => { tip.hidden = true; light(-1); };
  view.addEventListener("pointermove", (event, item) => {
    const row = item && item.datum && item.datum.row;
    if (row === undefined || from) { if (!tip.hidden) hide(); return; }
    light(row);
    tell(points[row], event.clientX, event.clientY);
  });
  $("map").addEventListener("pointerleave", hide);
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", () => { if (!tip.hidden) hide(); }, { passive: true });

  // labels: what is in colour, and its photos
  const boxes = titles.map((title, label) => {
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: chosen.includes(label) });
    const line = document.createElement("label");
    line.append(box, title);
    box.onchange = () => choose(box.checked ? [...chosen, label] : chosen.filter((other) => other !== label));
    $("choices").append(line);
    return { box, line, title: title.toLowerCase() };
  });
  $("find").oninput = () => { for (const { line, title } of boxes) line.hidden = line.style.display = title.includes($("find").value.toLowerCase()) ? "" : "none"; };
  $("none-button").onclick = () => choose([]);
  $("every-button").onclick = () => choose(titles.map((_, label) => label));

  function symbol(slot) {
    const colour = charts.palette[slot % charts.palette.length], shape = charts.shapes[slot % charts.shapes.length];
    const drawn = new DOMParser().parseFromString(`<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="-8 -8 16 16" aria-hidden="true"><path fill="${colour}"/></svg>`, "image/svg+xml").documentElement;
    const paths = {
      circle: "M6,0A6,6,0,1,1,-6,0A6,6,0,1,1,6,0Z", square: "M-5,-5H5V5H-5Z", "triangle-up": "M0,-6L6,5H-6Z", diamond: "M0,-7L6,0L0,7L-6,0Z",
      cross: "M-6,-2H-2V-6H2V-2H6V2H2V6H-2V2H-6Z", "triangle-down": "M0,6L-6,-5H6Z", "triangle-right": "M6,0L-5,6V-6Z",
    };
    drawn.firstChild.setAttribute("d", paths[shape]);
    return drawn;
  }
  const GALLERY = 60;
  function choose(labels) {
    chosen = labels;
    boxes.forEach(({ box }, label) => { box.checked = chosen.includes(label); });
    $("legend").replaceChildren(...chosen.slice(0, 42).map((label, slot) => { const line = make("li"); line.append(symbol(slot), titles[label]); return line; }));
    const photos = points.filter((point) => chosen.includes(point.label)).sort((a, b) => chosen.indexOf(a.label) - chosen.indexOf(b.label));
    const each = Math.max(1, Math.floor(GALLERY / Math.max(1, chosen.length))), taken = {};
    const few = photos.filter((point) => (taken[point.label] = (taken[point.label] ?? 0) + 1) <= each).slice(0, GALLERY);
    $("gallery-note").textContent = photos.length ? `${few.length} of ${photos.length}, by label. Point at a photo to see its place on the map.` : "Select a label to see its photos.";
    $("gallery").replaceChildren(...few.map((point) => {
      const line = make("li"), button = Object.assign(make("button"), { type: "button" });
      const where = point.scores.slice(0, 2).map((score, i) => `PC${i + 1} ${score.toFixed(1)}`).join(", ");
      button.setAttribute("aria-label", `${titles[point.label]}, ${point.name}, ${where}`);
      button.append(point.tile >= 0 ? tile(point) : "none");
      const point_at = () => { const box = button.getBoundingClientRect(); light(point.row); tell(point, box.left, box.bottom); };
      button.onfocus = button.onpointerenter = button.onclick = point_at;
      button.onblur = button.onpointerleave = hide;
      line.append(button);
      return line;
    }));
    return draw(false);
  }
  await draw(true);
  await choose(chosen);
  addEventListener("resize", () => { view.resize().runAsync(); });
  document.documentElement.dataset.ready = "yes"; // for tests
})();
