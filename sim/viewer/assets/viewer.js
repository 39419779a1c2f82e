"use strict";
/* Shows recorded and live runs. The form of the frames is described in sim/viewer/collect.py.
   Everything that comes from a replay is put on the page as text: nothing here writes markup. */
(() => {
  const PALETTE = ["#2a6f97", "#e07a1f", "#4f9d69", "#b5446e", "#7b5ea7", "#c9a227", "#3fa7a0", "#8d6a4f", "#5b7bd5", "#d1495b"];
  const TIERS = ["#7b2cbf", "#2f6fde", "#2a9d8f", "#e9a53b", "#d1654c", "#6d7f46", "#ad5d9b"];
  const LAST = "#9aa0a6";
  const SCALE = ["#fde3a7", "#f08a5d", "#b83b5e", "#3c1f57"];
  const DETAIL_MAX = 2000; // agents up to which each has a shape, an outline and a label
  const ROWS_MAX = 400;
  const HITS_MAX = 60;
  const FOLLOWED_MAX = 1000;
  const CHECKPOINT = 32; // frames between two copies of a layer
  const FORCES_MAX = 1500; // nodes up to which a network is spread out by forces
  const $ = (id) => document.getElementById(id);

  // -- text ----------------------------------------------------------------------------------------------------------

  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;
  /** Make characters visible that a page would act on or hide: controls, marks of direction. */
  const clean = (text) => String(text).replace(HIDDEN, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

  function el(tag, options, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(options || {})) {
      if (name === "on") for (const [event, call] of Object.entries(value)) made.addEventListener(event, call);
      else if (name === "class") made.className = value;
      else if (name === "title" || name === "aria-label") made.setAttribute(name, clean(value));
      else if (name === "back") made.style.background = value;
      else made[name] = value;
    }
    for (const child of children) if (child !== null && child !== undefined) made.append(child instanceof Node ? child : clean(child));
    return made;
  }

  const fill = (node, ...children) => node.replaceChildren(...children.filter((c) => c !== null && c !== undefined).map((c) => (c instanceof Node ? c : clean(c))));

  /** Yield the keys that runs such as "0-2,7-17/5,30" stand for. */
  function* keysOf(runs) {
    for (const part of runs ? runs.split(",") : []) {
      const [range, step] = part.split("/");
      const [first, last] = range.split("-").map(Number);
      for (let key = first; key <= (last === undefined ? first : last); key += Number(step || 1)) yield key;
    }
  }

  function before(list, wanted) { // index of the last entry that is at most `wanted`, -1 for none
    let low = 0, high = list.length;
    if (high && list[high - 1] <= wanted) return high - 1;
    while (low < high) { const middle = (low + high) >> 1; if (list[middle] <= wanted) low = middle + 1; else high = middle; }
    return low - 1;
  }

  // -- a run ---------------------------------------------------------------------------------------------------------

  class Series {
    constructor(about) { Object.assign(this, about); this.frames = []; this.values = []; this.low = Infinity; this.high = -Infinity; }
    set(agent, frame, value) {
      if (this.frames[agent] === undefined) { this.frames[agent] = []; this.values[agent] = []; }
      this.frames[agent].push(frame); this.values[agent].push(value);
      if (typeof value === "number") { if (value < this.low) this.low = value; if (value > this.high) this.high = value; }
    }
    last(agent) { const values = this.values[agent]; return values === undefined ? undefined : values[values.length - 1]; }
    at(agent, frame) {
      const frames = this.frames[agent];
      if (frames === undefined) return null;
      const found = before(frames, frame);
      return found < 0 ? null : this.values[agent][found];
    }
  }

  class Layer {
    constructor(about) { Object.assign(this, about); this.changes = []; this.now = new Float64Array(this.width * this.height); this.frame = -1; this.copies = []; this.min = Infinity; this.max = -Infinity; }
    add(gaps, values, absolute) {
      this.changes.push([gaps, values, absolute]);
      // The range is known when the values are: run them into a scratch copy of the newest state.
      if (!this.newest) this.newest = new Float64Array(this.now.length);
      this.run(this.newest, this.changes.length - 1, true);
    }
    none() { this.changes.push(null); }
    run(into, frame, ranged) {
      const change = this.changes[frame];
      if (!change) return;
      const [gaps, values, absolute] = change;
      let place = 0;
      for (let i = 0; i < values.length; i++) {
        place = gaps === null ? i : place + gaps[i];
        const value = absolute ? Number(values[i]) : into[place] + values[i];
        into[place] = value;
        if (ranged) { if (value < this.min) this.min = value; if (value > this.max) this.max = value; }
      }
    }
    at(frame) {
      if (frame < this.frame) {
        const copy = this.copies[Math.floor((frame + 1) / CHECKPOINT)];
        const from = copy ? Math.floor((frame + 1) / CHECKPOINT) * CHECKPOINT - 1 : -1;
        if (copy) this.now.set(copy); else this.now.fill(0);
        this.frame = from;
      }
      while (this.frame < frame) {
        this.frame++;
        this.run(this.now, this.frame, false);
        if ((this.frame + 1) % CHECKPOINT === 0) this.copies[(this.frame + 1) / CHECKPOINT] = this.now.slice();
      }
      return this.now;
    }
  }

  class Run {
    constructor(about) {
      this.about = about;
      this.ticks = []; this.keys = []; this.index = new Map(); this.born = []; this.gone = []; this.alive = [];
      this.series = about.series.map((each) => new Series(each));
      this.named = new Map(this.series.map((each, i) => [each.name, i]));
      this.layers = about.layers.map((each) => new Layer(each));
      this.metrics = about.metrics.map(() => []);
      this.strings = []; this.plans = []; this.frames = []; this.counts = []; this.ends = null;
      this.step = this.named.get("Progress.step"); this.status = this.named.get("Progress.status");
      this.tierColour = new Map(about.tiers.map((tier, i) => [tier, i === about.tiers.length - 1 && about.tiers.length > 1 ? LAST : TIERS[i % TIERS.length]]));
    }

    add(frame) {
      const f = this.ticks.length;
      this.ticks.push(frame.t);
      for (const text of frame.s || []) this.strings.push(text);
      if (frame.d) {
        const dead = new Set(); let key = 0;
        for (const gap of frame.d) { key += gap; const agent = this.index.get(key); if (agent !== undefined) { this.gone[agent] = f; dead.add(agent); } }
        this.alive = this.alive.filter((agent) => !dead.has(agent));
      }
      if (frame.b) {
        let key = 0, sorted = true;
        for (const gap of frame.b) {
          key += gap;
          const agent = this.keys.length;
          if (this.alive.length && this.keys[this.alive[this.alive.length - 1]] > key) sorted = false;
          this.keys.push(key); this.index.set(key, agent); this.born.push(f); this.gone.push(Infinity); this.plans.push(null); this.alive.push(agent);
        }
        if (!sorted) this.alive.sort((a, b) => this.keys[a] - this.keys[b]);
      }
      for (const [number, gaps, values, absolute] of frame.c || []) {
        const series = this.series[number];
        let key = 0;
        for (let i = 0; i < values.length; i++) {
          let agent;
          if (gaps === null) agent = this.alive[i]; else { key += gaps[i]; agent = this.index.get(key); }
          series.set(agent, f, absolute ? values[i] : (series.last(agent) || 0) + values[i]);
        }
      }
      const changed = new Map((frame.l || []).map((each) => [each[0], each]));
      this.layers.forEach((layer, i) => { const change = changed.get(i); if (change) layer.add(change[1], change[2], change[3]); else layer.none(); });
      this.metrics.forEach((values, i) => values.push(frame.m ? frame.m[i] : null));
      const count = {};
      const steps = new Map(frame.q || []);
      for (const [tier, runs] of Object.entries(frame.p || {})) {
        count[tier] = 0;
        for (const key of keysOf(runs)) {
          count[tier]++;
          const agent = this.index.get(key);
          if (agent === undefined) continue;
          (this.plans[agent] = this.plans[agent] || []).push({ f, t: frame.t, tier, steps: steps.get(key), origin: (frame.o || {})[key] });
        }
      }
      for (const key of keysOf(frame.g)) { const plans = this.plans[this.index.get(key)]; if (plans) plans[plans.length - 1].bridge = true; }
      this.counts.push(count);
      this.frames.push({ a: frame.a, i: frame.i, u: frame.u, r: frame.r });
      if (frame.e) this.ends = frame.e;
    }

    frameOf(tick) { return Math.max(before(this.ticks, tick), 0); }
    text(number) { return number === undefined ? undefined : this.strings[number]; }
    isAlive(agent, f) { return this.born[agent] <= f && f < this.gone[agent]; }
    planAt(agent, f) { const plans = this.plans[agent]; if (!plans) return null; let found = null; for (const plan of plans) { if (plan.f > f) break; found = plan; } return found; }
    tierAt(agent, f) { const plan = this.planAt(agent, f); return plan && plan.tier; }

    /** Return a series' value as people read it. */
    words(series, value) {
      if (value === null || value === undefined) return "";
      if (series.kind === "look") return value < 0 ? "" : this.about.looks[value].name;
      if (series.kind === "bool") return value ? "yes" : "no";
      if (series.kind === "enum") return series.names[value] === undefined ? String(value) : series.names[value];
      if (series.kind === "text") return this.strings[value];
      if (series.kind === "texts") { try { return JSON.parse(this.strings[value]).join(" | "); } catch { return this.strings[value]; } }
      const number = series.scale ? value / series.scale : value;
      return typeof number === "number" ? String(+number.toPrecision(10)) : String(number);
    }

    label(agent, f) {
      const look = this.lookOf(agent, f);
      const key = this.keys[agent];
      if (!look || look.label === null || look.label === undefined || look.label < 0) return String(key);
      const series = this.series[look.label];
      return this.words(series, series.at(agent, f)) || String(key);
    }

    lookOf(agent, f) { const number = this.series[0].at(agent, f); return number === null || number < 0 ? null : this.about.looks[number]; }
  }

  // -- colours -------------------------------------------------------------------------------------------------------

  const parsed = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  function blend(stops, share) {
    const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2), part = at - low;
    const [a, b] = [parsed(stops[low]), parsed(stops[low + 1])];
    return a.map((value, i) => Math.round(value + (b[i] - value) * part));
  }
  const hex = (rgb) => "#" + rgb.map((v) => v.toString(16).padStart(2, "0")).join("");
  const SHADES = Array.from({ length: 32 }, (_, i) => hex(blend(SCALE, i / 31)));

  /** Return how one look is coloured: categories with names, or a scale. */
  function colouring(run, look, number) {
    if (look.fixed) return { of: () => look.fixed, legend: [[look.fixed, look.name]] };
    if (look.colour === null || look.colour === undefined) {
      const colour = PALETTE[number % PALETTE.length];
      return { of: () => colour, legend: [[colour, look.name]] };
    }
    const series = run.series[look.colour];
    const name = (value) => (look.names[value] !== undefined ? look.names[value] : run.words(series, value));
    if (look.names.length || ["enum", "bool", "text", "texts", "look"].includes(series.kind)) {
      const colour = (value) => (value === null || value === undefined ? LAST : PALETTE[((value % PALETTE.length) + PALETTE.length) % PALETTE.length]);
      return { of: (agent, f) => colour(series.at(agent, f)), name: (agent, f) => name(series.at(agent, f)), category: true };
    }
    return {
      of: (agent, f) => { const value = series.at(agent, f); return value === null ? LAST : SHADES[Math.round((31 * (value - series.low)) / Math.max(series.high - series.low, 1e-9))]; },
      scale: series, words: (value) => run.words(series, value),
    };
  }

  // -- a pane: one run on a canvas, or as a table ----------------------------------------------------------------------

  class Pane {
    constructor(view, run, number) {
      this.view = view; this.run = run; this.number = number;
      this.space = run.about.spaces[0] || null;
      this.zoom = 1; this.x = 0; this.y = 0;
      this.head = el("h2", {}, run.about.name || "");
      this.legend = el("div", { class: "legend" });
      this.node = el("div", { class: "pane" }, view.runs.length > 1 ? this.head : null);
      const choices = run.about.spaces.map((space, i) => [String(i), space.name || "map"]);
      if (choices.length) {
        this.canvas = el("canvas", {});
        this.canvas.setAttribute("role", "img");
        this.context = this.canvas.getContext("2d");
        this.select = el("select", { on: { change: () => this.show(this.select.value) } }, ...[...choices, ["table", "table"]].map(([value, name]) => el("option", { value }, name)));
        this.node.append(el("div", { class: "small" }, this.select));
        this.node.append(this.canvas);
        this.listen();
      }
      this.table = el("div", { class: "table" });
      this.node.append(this.table, this.legend);
      this.show(choices.length ? "0" : "table");
    }

    show(what) {
      this.asTable = what === "table";
      this.table.hidden = !this.asTable;
      if (this.canvas) this.canvas.hidden = this.asTable;
      if (!this.asTable) { this.space = this.run.about.spaces[Number(what)]; this.places = null; this.zoom = 1; this.x = this.y = 0; }
      this.view.dirty = true;
    }

    listen() {
      const canvas = this.canvas;
      let from = null, moved = false;
      canvas.addEventListener("mousedown", (e) => { from = [e.clientX, e.clientY]; moved = false; });
      window.addEventListener("mousemove", (e) => {
        if (!from) return;
        if (Math.hypot(e.clientX - from[0], e.clientY - from[1]) < 4 && !moved) return;
        moved = true; this.x += e.clientX - from[0]; this.y += e.clientY - from[1]; from = [e.clientX, e.clientY]; this.view.dirty = true;
      });
      window.addEventListener("mouseup", () => { from = null; });
      canvas.addEventListener("click", (e) => { if (!moved) this.pick(e); });
      canvas.addEventListener("dblclick", () => { this.zoom = 1; this.x = this.y = 0; this.view.dirty = true; });
      canvas.addEventListener("wheel", (e) => {
        e.preventDefault();
        const box = canvas.getBoundingClientRect(), factor = Math.exp(-e.deltaY * 0.0015), zoom = Math.min(Math.max(this.zoom * factor, 1), 64);
        const px = e.clientX - box.left, py = e.clientY - box.top, real = zoom / this.zoom;
        this.x = px - (px - this.x) * real; this.y = py - (py - this.y) * real; this.zoom = zoom;
        if (zoom === 1) this.x = this.y = 0;
        this.view.dirty = true;
      }, { passive: false });
    }

    /** Width and height of what is drawn, in the space's own units. */
    extent() {
      const space = this.space;
      if (space.kind === "plane") return [space.width * space.scale, space.height * space.scale];
      if (space.width) return [space.width, space.height];
      let wide = 1, high = 1; // nothing says how large it is: as far as agents ever go
      for (const look of this.run.about.looks) if (look.place.length === 2) { wide = Math.max(wide, this.run.series[look.place[0]].high + 1); high = Math.max(high, this.run.series[look.place[1]].high + 1); }
      return [wide, high];
    }

    nodes() { // where the nodes of a network are
      if (this.places) return this.places;
      const { x, y, ends, width } = this.space, n = x.length;
      let px = Float64Array.from(x, (v) => v / width), py = Float64Array.from(y, (v) => v / width);
      if (n <= FORCES_MAX && n > 2) [px, py] = spread(px, py, ends);
      this.places = [px, py];
      return this.places;
    }

    /** Return x, y and cell of an agent in pixels; null where it has no place here. */
    where(agent, look, f) {
      if (!look || look.space !== this.space.name || !look.place.length) return null;
      const read = (number) => (number < 0 ? this.run.keys[agent] : this.run.series[number].at(agent, f));
      const first = read(look.place[0]);
      if (first === null) return null;
      const t = this.fit;
      if (this.space.kind === "network") {
        const [px, py] = this.nodes();
        return px[first] === undefined ? null : [t.x + px[first] * t.wide, t.y + py[first] * t.wide, first];
      }
      if (this.space.kind === "plane") return [t.x + first * t.unit, t.y + read(look.place[1]) * t.unit, null];
      const [cx, cy] = look.place.length === 1 ? [first % this.space.width, Math.floor(first / this.space.width)] : [first, read(look.place[1])];
      return [t.x + (cx + 0.5) * t.unit, t.y + (cy + 0.5) * t.unit, look.place.length === 1 ? first : cy * t.columns + cx];
    }

    draw() {
      const f = this.run.frameOf(this.view.tick);
      this.colourings = this.run.about.looks.map((look, i) => colouring(this.run, look, i));
      if (this.asTable) this.drawTable(f); else this.drawSpace(f);
      this.drawLegend(f);
    }

    colourOf(agent, number, f) {
      if (this.view.colours === "tier") { const tier = this.run.tierAt(agent, f); return tier ? this.run.tierColour.get(tier) || LAST : LAST; }
      return this.colourings[number].of(agent, f);
    }

    drawSpace(f) {
      const { canvas, context: c, run, view } = this;
      const ratio = Math.min(window.devicePixelRatio || 1, 2), box = canvas.getBoundingClientRect();
      const wide = Math.max(Math.round(box.width * ratio), 10), high = Math.max(Math.round(box.height * ratio), 10);
      if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, box.width, box.height);
      const pad = 10, network = this.space.kind === "network", [columns, rows] = network ? [1, 1] : this.extent();
      const unit = Math.min((box.width - 2 * pad) / columns, (box.height - 2 * pad) / rows) * this.zoom;
      const x = (box.width * this.zoom - unit * columns) / 2 + this.x, y = (box.height * this.zoom - unit * rows) / 2 + this.y;
      this.fit = { unit, x, y, wide: unit, columns };
      const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--ink"), line = style.getPropertyValue("--line");
      for (const layer of run.layers) if (layer.space === this.space.name) this.drawLayer(layer, f, x, y, unit * columns, unit * rows);
      if (this.space.kind !== "network") { c.strokeStyle = line; c.lineWidth = 1; c.strokeRect(x, y, unit * columns, unit * rows); }
      if (network) this.drawLinks(line);
      // Agents on one cell stand beside each other, if they are few.
      const alive = [], detailed = run.alive.length <= DETAIL_MAX && run.keys.length <= 20 * DETAIL_MAX;
      for (let agent = 0; agent < run.keys.length; agent++) if (run.isAlive(agent, f)) alive.push(agent);
      const few = alive.length <= DETAIL_MAX, crowds = new Map(), drawn = [];
      const grid = this.space.kind === "grid";
      for (const agent of alive) {
        const number = run.series[0].at(agent, f);
        if (number === null || number < 0) continue;
        const look = run.about.looks[number], at = this.where(agent, look, f);
        if (!at) continue;
        drawn.push([agent, number, at]);
        if (few && grid) crowds.set(at[2], (crowds.get(at[2]) || 0) + 1);
      }
      const base = network ? Math.min(Math.max(0.32 * Math.sqrt((box.width * box.height) / Math.max(drawn.length, 1)) * 0.5, 2), 14) : grid ? unit * 0.42 : Math.min(Math.max(Math.sqrt((box.width * box.height) / Math.max(drawn.length, 1)) * 0.18, 2), 12);
      const taken = new Map(), groups = new Map();
      this.hits = [];
      for (const [agent, number, at] of drawn) {
        const look = run.about.looks[number];
        let [ax, ay] = at, radius = base;
        const crowd = crowds.get(at[2]) || 1;
        if (crowd > 1) {
          const side = Math.ceil(Math.sqrt(crowd)), place = taken.get(at[2]) || 0;
          taken.set(at[2], place + 1);
          ax += ((place % side) + 0.5 - side / 2) * (unit / side); ay += (Math.floor(place / side) + 0.5 - side / 2) * (unit / side);
          radius /= side * 0.9;
        }
        if (look.size !== null) { const size = run.series[look.size], value = size.at(agent, f); radius *= 0.4 + 0.6 * Math.sqrt(Math.max(value || 0, 0) / Math.max(size.high, 1e-9)); }
        radius = Math.max(radius, 1);
        this.hits.push([agent, ax, ay, radius]);
        const colour = this.colourOf(agent, number, f);
        if (!groups.has(colour)) groups.set(colour, []);
        groups.get(colour).push(ax, ay, radius);
      }
      for (const [colour, spots] of groups) {
        c.fillStyle = colour;
        c.beginPath();
        for (let i = 0; i < spots.length; i += 3) {
          const [ax, ay, radius] = [spots[i], spots[i + 1], spots[i + 2]];
          if (few) { c.moveTo(ax + radius, ay); c.arc(ax, ay, radius, 0, 2 * Math.PI); } else c.rect(ax - radius, ay - radius, 2 * radius, 2 * radius);
        }
        c.fill();
        if (few && base > 4) { c.strokeStyle = "rgba(0,0,0,.35)"; c.lineWidth = 0.7; c.stroke(); }
      }
      if (detailed && few && base >= 9) {
        c.font = `${Math.min(base * 0.9, 13)}px system-ui, sans-serif`; c.textAlign = "center"; c.textBaseline = "middle"; c.fillStyle = "#fff";
        for (const [agent, ax, ay, radius] of this.hits) if (radius >= 8) c.fillText(clean(run.label(agent, f)).slice(0, 6), ax, ay, radius * 1.9);
      }
      const ring = (test, colour, width) => {
        c.strokeStyle = colour; c.lineWidth = width; c.beginPath();
        for (const [agent, ax, ay, radius] of this.hits) if (test(agent)) { c.moveTo(ax + radius + 3, ay); c.arc(ax, ay, radius + 3, 0, 2 * Math.PI); }
        c.stroke();
      };
      if (view.found.size) ring((agent) => view.found.has(run.keys[agent]), "#e9a53b", 2);
      const other = view.other(this);
      if (other && few) { const g = other.run.frameOf(view.tick); ring((agent) => view.differs(this.run, agent, f, other.run, g), "#d62839", 1.6); }
      if (view.agent !== null) ring((agent) => run.keys[agent] === view.agent, ink, 2.5);
      canvas.setAttribute("aria-label", `Tick ${view.tick}: ${alive.length} agents`);
    }

    drawLayer(layer, f, x, y, wide, high) {
      if (!layer.image) {
        layer.image = document.createElement("canvas"); layer.image.width = layer.width; layer.image.height = layer.height;
        layer.paint = layer.image.getContext("2d"); layer.pixels = layer.paint.createImageData(layer.width, layer.height);
      }
      const low = layer.low === null ? layer.min : layer.low, high_ = layer.high === null ? layer.max : layer.high;
      if (!layer.table || layer.tableOf !== `${low},${high_}`) { layer.table = Array.from({ length: 256 }, (_, i) => blend(layer.colours, i / 255)); layer.tableOf = `${low},${high_}`; }
      const values = layer.at(f), data = layer.pixels.data, factor = 255 / Math.max(high_ - low, 1e-9);
      for (let i = 0; i < values.length; i++) {
        const shade = layer.table[Math.min(Math.max(Math.round((values[i] - low) * factor), 0), 255)] || layer.table[0];
        data[4 * i] = shade[0]; data[4 * i + 1] = shade[1]; data[4 * i + 2] = shade[2]; data[4 * i + 3] = 255;
      }
      layer.paint.putImageData(layer.pixels, 0, 0);
      this.context.imageSmoothingEnabled = false;
      this.context.drawImage(layer.image, x, y, wide, high);
    }

    drawLinks(line) {
      const [px, py] = this.nodes(), t = this.fit, c = this.context, ends = this.space.ends;
      c.strokeStyle = line; c.lineWidth = 0.8; c.beginPath();
      for (let i = 0; i < ends.length; i += 2) { c.moveTo(t.x + px[ends[i]] * t.wide, t.y + py[ends[i]] * t.wide); c.lineTo(t.x + px[ends[i + 1]] * t.wide, t.y + py[ends[i + 1]] * t.wide); }
      c.stroke();
    }

    drawTable(f) {
      const run = this.run, view = this.view;
      const columns = run.series.map((series, i) => i).filter((i) => i && !run.series[i].name.startsWith("Progress.") && run.series[i].name !== "Control.taken" && run.series[i].frames.length);
      columns.sort((a, b) => run.series[b].shown - run.series[a].shown);
      const kept = columns.slice(0, 14);
      const rows = [];
      let more = 0;
      for (let agent = 0; agent < run.keys.length; agent++) {
        if (!run.isAlive(agent, f)) continue;
        const key = run.keys[agent];
        if (view.found.size && !view.found.has(key)) continue;
        if (rows.length >= ROWS_MAX) { more++; continue; }
        const number = run.series[0].at(agent, f), plan = run.planAt(agent, f);
        const colour = number === null || number < 0 ? LAST : this.colourOf(agent, number, f);
        const step = plan && run.step !== undefined && plan.steps ? plan.steps[run.series[run.step].at(agent, f)] : undefined;
        rows.push(el("tr", { class: key === view.agent ? "agent chosen" : "agent", on: { click: () => view.choose(key) } },
          el("td", {}, el("span", { class: "dot", back: colour }), String(key)),
          ...kept.map((i) => { const series = run.series[i]; return el("td", { class: typeof series.at(agent, f) === "number" ? "number" : "" }, this.named(number, i, run.words(series, series.at(agent, f)), series.at(agent, f)).slice(0, 80)); }),
          run.about.tiers.length ? el("td", {}, step === undefined ? (plan ? plan.tier : "") : run.text(step).slice(0, 60)) : null));
      }
      const head = el("tr", {}, el("th", {}, "agent"), ...kept.map((i) => el("th", { title: run.series[i].name }, run.series[i].name.replace(/^[^.]*\./, "") + (run.series[i].unit ? `, ${run.series[i].unit}` : ""))), run.about.tiers.length ? el("th", {}, "doing") : null);
      const scroll = [this.table.scrollLeft, this.table.scrollTop];
      fill(this.table, el("table", {}, head, ...rows), more ? el("p", { class: "note" }, `and ${more} agents more; search finds them`) : null);
      [this.table.scrollLeft, this.table.scrollTop] = scroll;
    }

    named(number, series, words, value) { // a colour's names also stand in the table
      const look = number === null || number < 0 ? null : this.run.about.looks[number];
      return look && look.colour === series && look.names[value] !== undefined ? look.names[value] : words;
    }

    drawLegend(f) {
      const run = this.run, parts = [], counts = new Map();
      if (this.view.colours === "tier") { fill(this.legend); return; }
      for (let agent = 0; agent < run.keys.length; agent++) {
        if (!run.isAlive(agent, f)) continue;
        const number = run.series[0].at(agent, f);
        if (number === null || number < 0) continue;
        const look = this.colourings[number], name = look.category ? look.name(agent, f) : run.about.looks[number].name;
        const entry = counts.get(number + name) || { colour: look.scale ? null : look.of(agent, f), name, count: 0, look };
        entry.count++;
        counts.set(number + name, entry);
      }
      for (const entry of [...counts.values()].slice(0, 40)) {
        const scale = entry.look.scale;
        const bar = scale ? el("span", { class: "scale", back: `linear-gradient(90deg, ${SCALE.join(", ")})` }) : el("span", { class: "dot", back: entry.colour });
        parts.push(el("span", {}, scale ? entry.look.words(scale.low) : null, bar, scale ? `${entry.look.words(scale.high)} ${scale.name} ` : null, entry.name, " ", el("b", {}, String(entry.count))));
      }
      for (const layer of run.layers) parts.push(el("span", {}, String(layer.low === null ? layer.min : layer.low), el("span", { class: "scale", back: `linear-gradient(90deg, ${layer.colours.join(", ")})` }), String(layer.high === null ? layer.max : layer.high), " ", layer.name));
      fill(this.legend, ...parts);
    }

    pick(event) {
      const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      let best = null, near = Infinity;
      for (const [agent, ax, ay, radius] of this.hits || []) { const away = Math.hypot(ax - x, ay - y) - radius; if (away < near) { near = away; best = agent; } }
      this.view.choose(best !== null && near < 12 ? this.run.keys[best] : null);
    }
  }

  /** Spread the nodes of a network by forces (Fruchterman and Reingold), from the given places, always alike. */
  function spread(x, y, ends) {
    const n = x.length, k = Math.sqrt(1 / n);
    let heat = 0.08;
    for (let round = 0; round < 60; round++) {
      const dx = new Float64Array(n), dy = new Float64Array(n);
      for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) {
        const ex = x[i] - x[j], ey = y[i] - y[j], away = ex * ex + ey * ey + 1e-9;
        if (away > 0.09) continue;
        const push = (k * k) / away;
        dx[i] += ex * push; dy[i] += ey * push; dx[j] -= ex * push; dy[j] -= ey * push;
      }
      for (let e = 0; e < ends.length; e += 2) {
        const i = ends[e], j = ends[e + 1], ex = x[i] - x[j], ey = y[i] - y[j], pull = Math.sqrt(ex * ex + ey * ey) / k;
        dx[i] -= ex * pull; dy[i] -= ey * pull; dx[j] += ex * pull; dy[j] += ey * pull;
      }
      for (let i = 0; i < n; i++) {
        dx[i] -= (x[i] - 0.5) * 0.6; dy[i] -= (y[i] - 0.5) * 0.6;
        const length = Math.hypot(dx[i], dy[i]) + 1e-9, step = Math.min(length, heat);
        x[i] += (dx[i] / length) * step; y[i] += (dy[i] / length) * step;
      }
      heat *= 0.95;
    }
    const sides = [x, y].map((v) => [Math.min(...v), Math.max(...v)]), side = Math.max(...sides.map(([a, b]) => b - a)) || 1;
    return [x, y].map((v, d) => v.map((value) => 0.02 + (0.96 * (value - (sides[d][0] + sides[d][1]) / 2)) / side + 0.48));
  }

  // -- the whole page --------------------------------------------------------------------------------------------------

  class View {
    constructor(parts, start) {
      this.start = start; this.runs = []; this.panes = []; this.charts = [];
      this.tick = -1; this.agent = null; this.colours = "portrayal"; this.found = new Set(); this.playing = false; this.dirty = true; this.due = 0;
      this.drawMs = []; this.following = start.served === "live";
      this.runs = parts.map((part) => { const run = new Run(part.about); for (const frame of part.frames) run.add(frame); return run; });
      this.head();
      for (const [i, run] of this.runs.entries()) { const pane = new Pane(this, run, i); this.panes.push(pane); $("stage").append(pane.node); }
      const tiers = this.runs.some((run) => run.about.tiers.length);
      fill($("colours"), el("option", { value: "portrayal" }, "as portrayed"), tiers ? el("option", { value: "tier" }, "tier of plan") : null);
      $("colours-label").hidden = !tiers;
      $("tiers").hidden = $("tier-legend").hidden = !tiers;
      if (start.difference && !start.difference.same) { $("first").hidden = false; }
      this.listen();
      this.ended();
      document.querySelector("footer").hidden = this.first === this.last && start.served !== "live";
      this.makeCharts();
      this.tick = this.firstTick();
      this.fromHash();
      requestAnimationFrame((now) => this.loop(now));
    }

    get first() { return Math.min(...this.runs.map((run) => run.ticks[0])); }
    get last() { return Math.max(...this.runs.map((run) => run.ticks[run.ticks.length - 1])); }
    firstTick() { return this.following ? this.last : this.first; }
    other(pane) { return this.panes.length > 1 ? this.panes[1 - pane.number] : null; }
    run(i) { return this.runs[i || 0]; }

    head() {
      const about = this.run().about;
      $("title").textContent = clean(this.runs.map((run) => run.about.scenario).filter((name, i, all) => all.indexOf(name) === i).join(" and "));
      document.title = `${$("title").textContent} - Tickweave`;
      const model = about.model ? `, model ${about.model}` : "";
      $("subtitle").textContent = clean(`${about.domain}, seed ${about.seed}${model}${about.description ? ` - ${about.description}` : ""}`);
      $("subtitle").title = $("subtitle").textContent;
    }

    ended() {
      const ends = this.runs.map((run) => run.ends).filter((each) => each);
      const state = this.start.served === "live" && !this.over ? "running" : ends.filter((e, i) => ends.indexOf(e) === i).join(" / ");
      $("state").textContent = clean(state);
      $("time").min = this.first; $("time").max = this.last;
    }

    listen() {
      const jump = (tick) => { this.playing = false; this.following = false; this.go(tick); };
      $("start").onclick = () => jump(this.first);
      $("end").onclick = () => { jump(this.last); this.following = this.start.served === "live"; };
      $("back").onclick = () => jump(this.tick - 1);
      $("forward").onclick = () => jump(this.tick + 1);
      $("play").onclick = () => this.play();
      $("time").oninput = () => jump(Number($("time").value));
      $("colours").onchange = () => { this.colours = $("colours").value; this.dirty = true; };
      $("first").onclick = () => this.toDifference();
      $("help").onclick = () => $("keys").showModal();
      $("search").oninput = () => this.search();
      const strip = (event) => { const box = $("tiers").getBoundingClientRect(); jump(Math.round(this.first + ((event.clientX - box.left) / box.width) * (this.last - this.first + 1) - 0.5)); };
      $("tiers").onmousedown = strip;
      $("tiers").onmousemove = (event) => { if (event.buttons === 1) strip(event); };
      window.addEventListener("hashchange", () => this.fromHash());
      window.addEventListener("resize", () => { this.dirty = true; for (const chart of this.charts) chart.fit(); });
      document.addEventListener("keydown", (event) => this.key(event, jump));
    }

    key(event, jump) {
      if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
      const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement.tagName) && document.activeElement.type !== "range";
      if (event.key === "Escape") { if (typing) { $("search").value = ""; this.search(); document.activeElement.blur(); } else this.choose(null); return; }
      if (typing) return;
      const far = event.shiftKey ? 10 : 1;
      const keys = {
        " ": () => this.play(), ArrowLeft: () => jump(this.tick - far), ArrowRight: () => jump(this.tick + far), Home: () => jump(this.first), End: () => jump(this.last),
        n: () => this.neighbour(1), p: () => this.neighbour(-1), "[": () => this.plan(-1), "]": () => this.plan(1), d: () => this.toDifference(), "/": () => $("search").focus(), "?": () => $("keys").showModal(),
      };
      const call = keys[event.key];
      if (!call) return;
      event.preventDefault();
      if (document.activeElement.tagName === "BUTTON") document.activeElement.blur();
      call();
    }

    play() { if (!this.playing && this.tick >= this.last) this.tick = this.first; this.playing = !this.playing; this.following = false; this.due = 0; this.dirty = true; }

    go(tick) { this.tick = Math.min(Math.max(tick, this.first), this.last); this.dirty = true; }

    choose(key) { this.agent = key; this.detail = null; this.dirty = true; }

    neighbour(by) {
      const run = this.run(), f = run.frameOf(this.tick), alive = run.keys.filter((_, agent) => run.isAlive(agent, f)).sort((a, b) => a - b);
      if (!alive.length) return;
      const at = alive.indexOf(this.agent);
      this.choose(alive[at < 0 ? 0 : (at + by + alive.length) % alive.length]);
    }

    plan(by) {
      const run = this.run(), plans = run.plans[run.index.get(this.agent)] || [];
      const wanted = by < 0 ? plans.filter((plan) => plan.t < this.tick).pop() : plans.find((plan) => plan.t > this.tick);
      if (wanted) { this.playing = this.following = false; this.go(wanted.t); }
    }

    toDifference() { const found = this.start.difference; if (found && !found.same) { this.playing = false; this.go(found.tick === null ? this.first : found.tick); } }

    fromHash() {
      const wanted = new URLSearchParams(location.hash.slice(1));
      const number = (name) => (/^-?\d{1,15}$/.test(wanted.get(name) || "") ? Number(wanted.get(name)) : null);
      if (number("t") !== null) { this.following = false; this.go(number("t")); }
      if (wanted.has("a")) this.choose(number("a"));
    }

    toHash() {
      const hash = `#t=${this.tick}${this.agent === null ? "" : `&a=${this.agent}`}`;
      if (hash === location.hash) return;
      try { history.replaceState(null, "", hash); } catch { /* a page inside a notebook has no address */ }
    }

    loop(now) {
      if (this.playing) {
        const wait = 1000 / Number($("speed").value);
        if (!this.due) this.due = now + wait;
        if (now >= this.due) {
          const steps = Math.max(Math.floor((now - this.due) / wait) + 1, 1);
          this.due += steps * wait;
          this.go(this.tick + steps);
          if (this.tick >= this.last) this.playing = false;
        }
      }
      if (this.dirty) {
        this.dirty = false;
        const begun = performance.now();
        for (const pane of this.panes) pane.draw();
        this.drawMs.push(performance.now() - begun);
        if (this.drawMs.length > 1000) this.drawMs.shift();
        this.drawTime();
        this.drawPanel();
        if (!this.playing) this.toHash();
      }
      requestAnimationFrame((next) => this.loop(next));
    }

    drawTime() {
      $("time").value = this.tick;
      $("now").textContent = this.tick < 0 ? "start" : `tick ${this.tick} of ${this.last}`;
      $("play").textContent = this.playing ? "\u25A0" : "\u25B6";
      if (!$("tiers").hidden) this.drawTiers();
      for (const chart of this.charts) chart.mark(this.tick);
    }

    drawTiers() {
      const canvas = $("tiers"), box = canvas.getBoundingClientRect(), ratio = Math.min(window.devicePixelRatio || 1, 2), c = canvas.getContext("2d");
      const wide = Math.max(Math.round(box.width * ratio), 10), high = Math.round(26 * ratio);
      if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, box.width, 26);
      const ticks = this.last - this.first + 1, unit = box.width / ticks, rows = this.runs.length, tall = 24 / rows;
      this.runs.forEach((run, row) => {
        // One column of the strip may stand for several ticks.
        const columns = Math.min(Math.ceil(box.width), ticks), sums = Array.from({ length: columns }, () => ({}));
        run.ticks.forEach((tick, f) => { const sum = sums[Math.min(Math.floor(((tick - this.first) * columns) / ticks), columns - 1)]; for (const [tier, count] of Object.entries(run.counts[f])) sum[tier] = (sum[tier] || 0) + count; });
        const total = (sum) => Object.values(sum).reduce((a, b) => a + b, 0), most = Math.max(...sums.map(total), 1);
        sums.forEach((sum, column) => {
          let top = row * tall + tall;
          for (const tier of run.about.tiers) if (sum[tier]) { const size = Math.max((sum[tier] / most) * (tall - 2), 1); c.fillStyle = run.tierColour.get(tier); c.fillRect((column * box.width) / columns, top - size, Math.max(box.width / columns - (columns < 400 ? 1 : 0), 1), size); top -= size; }
        });
      });
      const found = this.start.difference;
      if (found && !found.same && found.tick !== null) { c.fillStyle = "#d62839"; c.fillRect((found.tick - this.first + 0.5) * unit - 1, 0, 2, 26); }
      c.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
      c.fillRect((this.tick - this.first + 0.5) * unit - 0.75, 0, 1.5, 26);
      const sums = {};
      for (const run of this.runs) for (const count of run.counts) for (const [tier, n] of Object.entries(count)) sums[tier] = (sums[tier] || 0) + n;
      const run = this.run();
      fill($("tier-legend"), ...Object.keys(sums).map((tier) => el("span", {}, el("span", { class: "dot bar", back: run.tierColour.get(tier) || LAST }), tier, " ", el("b", {}, String(sums[tier])), sums[tier] === 1 ? " plan" : " plans")));
    }

    // -- metrics

    makeCharts() {
      const names = [...new Set(this.runs.flatMap((run) => run.about.metrics))];
      for (const chart of this.charts) chart.plot.destroy();
      this.charts = names.slice(0, 12).map((name) => this.chart(name));
      fill($("charts"), ...this.charts.map((chart) => chart.node));
      for (const chart of this.charts) chart.fit();
    }

    chart(name) {
      const view = this, value = el("b", {}), node = el("div", { class: "chart" }, el("span", {}, name, " ", value));
      const data = () => {
        const ticks = []; for (let tick = this.first; tick <= this.last; tick++) ticks.push(tick);
        return [ticks, ...this.runs.map((run) => { const at = run.about.metrics.indexOf(name); return ticks.map((tick) => { const f = before(run.ticks, tick); return at < 0 || f < 0 || tick > run.ticks[run.ticks.length - 1] ? null : run.metrics[at][f]; }); })];
      };
      const soft = getComputedStyle(document.documentElement).getPropertyValue("--soft"), line = getComputedStyle(document.documentElement).getPropertyValue("--line");
      const axis = { stroke: soft, grid: { stroke: line, width: 0.5 }, ticks: { stroke: line, width: 0.5 }, font: "10px system-ui" };
      const plot = new uPlot({
        width: 220, height: 104, legend: { show: false }, cursor: { y: false, drag: { x: false, y: false } }, padding: [8, 6, 0, 0],
        scales: { x: { time: false }, y: { range: (_, low, high) => (low === null || high === null ? [0, 1] : low === high ? [low - 1, high + 1] : [low - (high - low) * 0.06, high + (high - low) * 0.06]) } },
        axes: [{ ...axis, size: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000] }, { ...axis, size: 54, space: 22 }],
        series: [{}, ...this.runs.map((_, i) => ({ stroke: i ? "#e07a1f" : "#2a6f97", width: 1.5, dash: i ? [5, 4] : undefined, points: { show: false } }))],
        hooks: {
          draw: [(u) => { const at = (tick) => u.valToPos(tick, "x", true), c = u.ctx, found = view.start.difference; const bar = (tick, colour) => { c.fillStyle = colour; c.fillRect(at(tick) - 1, u.bbox.top, 2, u.bbox.height); }; if (found && !found.same && found.tick !== null) bar(found.tick, "#d62839"); bar(view.tick, soft); }],
          ready: [(u) => { u.over.addEventListener("click", (event) => { view.playing = view.following = false; view.go(Math.round(u.posToVal(event.offsetX, "x"))); }); }],
        },
      }, data(), node);
      return {
        node, plot,
        fit: () => plot.setSize({ width: Math.max(node.clientWidth, 120), height: 104 }),
        mark: () => {
          plot.redraw(false, false);
          value.textContent = view.runs.map((run) => { const at = run.about.metrics.indexOf(name), number = at < 0 ? null : run.metrics[at][run.frameOf(view.tick)]; return number === null || number === undefined ? "-" : String(number); }).join(" / ");
        },
        update: () => plot.setData(data()),
      };
    }

    // -- the panel

    drawPanel() {
      if (this.agent === null) { this.overview(); return; }
      const one = this.run(), known = one.index.get(this.agent), look = known === undefined ? null : one.lookOf(known, one.frameOf(this.tick));
      const nodes = [el("h2", {}, `${look ? look.name : "Agent"} ${this.agent}`)];
      this.runs.forEach((run, i) => {
        const agent = run.index.get(this.agent), f = run.frameOf(this.tick);
        if (this.runs.length > 1) nodes.push(el("h2", {}, run.about.name || (i ? "B" : "A")));
        if (agent === undefined) { nodes.push(el("p", { class: "note" }, "There is no such agent.")); return; }
        if (!run.isAlive(agent, f)) nodes.push(el("p", { class: "note" }, run.born[agent] > f ? `Born in tick ${run.ticks[run.born[agent]]}.` : `Gone since tick ${run.ticks[run.gone[agent]]}.`));
        nodes.push(...this.planOf(run, agent, f), ...this.valuesOf(run, agent, f, i));
      });
      this.setPanel(nodes);
    }

    setPanel(nodes) {
      const panel = $("panel"), open = new Set([...panel.querySelectorAll("details[open]")].map((each) => each.dataset.name)), scroll = panel.scrollTop;
      fill(panel, ...nodes);
      for (const each of panel.querySelectorAll("details")) if (open.has(each.dataset.name)) each.open = true;
      panel.scrollTop = scroll;
    }

    valuesOf(run, agent, f, number) {
      const rows = [], other = this.runs.length > 1 ? this.runs[1 - number] : null;
      const twin = other && other.index.get(this.agent), g = other && other.frameOf(this.tick);
      for (const series of run.series) {
        if (series.name.startsWith("Progress.")) continue;
        const value = series.at(agent, f);
        if (value === null || series.kind === "look" || (series.name === "Control.taken" && !value)) continue;
        const told = run.words(series, value);
        let differs = false;
        if (other && twin !== undefined && other.named.has(series.name)) { const theirs = other.series[other.named.get(series.name)]; differs = other.words(theirs, theirs.at(twin, g)) !== told; }
        const look = run.lookOf(agent, f), space = look && look.place.length === 1 && run.series[look.place[0]] === series && run.about.spaces.find((each) => each.name === look.space && each.kind === "grid");
        const named = look && run.series[look.colour] === series && look.names[value] !== undefined ? `${look.names[value]} (${told})` : space ? `${told} (x ${value % space.width}, y ${Math.floor(value / space.width)})` : told;
        rows.push(el("tr", {}, el("td", {}, series.name), el("td", { class: differs ? "number differs" : "number" }, named, series.unit ? ` ${series.unit}` : "")));
      }
      const missing = run.about.left_out;
      return [el("h2", {}, "Values"), el("table", {}, ...rows), missing && missing.length ? el("p", { class: "note" }, `Not in this page, to keep it small: ${missing.join(", ")}. tickweave view --serve shows them.`) : null];
    }

    differs(run, agent, f, other, g) {
      const twin = other.index.get(run.keys[agent]);
      if (twin === undefined || !other.isAlive(twin, g)) return true;
      return run.series.some((series) => { const at = other.named.get(series.name); if (at === undefined) return false; const theirs = other.series[at], a = series.at(agent, f), b = theirs.at(twin, g); return a !== b && run.words(series, a) !== other.words(theirs, b); });
    }

    planOf(run, agent, f) {
      if (!run.about.tiers.length) return [];
      const plans = run.plans[agent], plan = run.planAt(agent, f);
      if (!plans) return [el("p", { class: "note" }, "Nobody has planned for it.")];
      const nodes = [el("h2", {}, "Plans"), this.ribbon(run, plans)];
      if (!plan) return [...nodes, el("p", { class: "note" }, `The first plan was made in tick ${plans[0].t}.`)];
      const next = plans.find((each) => each.f > plan.f);
      nodes.push(el("p", {}, el("span", { class: "tier", back: run.tierColour.get(plan.tier) || LAST }, plan.tier), ` made in tick ${plan.t}`, plan.bridge ? " to bridge until a model's round" : "", next ? `, replaced in tick ${next.t}` : ""));
      const fetched = this.fetched(run, plan);
      const steps = plan.steps ? plan.steps.map((step) => run.text(step)) : fetched ? fetched.steps.map((step) => stepWords(step)) : null;
      if (steps) {
        const done = this.followed(run, agent, plan, next, steps.length);
        const now = run.step === undefined ? -1 : run.series[run.step].at(agent, f), status = run.status === undefined ? null : run.series[run.status].at(agent, f);
        nodes.push(el("ol", { class: "steps" }, ...steps.map((step, i) => el("li", { class: i === now && (status === 1 || status === null) ? "current" : "" }, step, el("small", {}, done[i])))));
        if (status !== null && status !== 1) nodes.push(el("p", { class: "note" }, `Now: ${["no plan", "running", "finished", "refused", "out of date"][status] || status}.`));
      } else nodes.push(el("p", { class: "note" }, this.start.served ? "Asking ..." : "The steps are not in this page; tickweave view --serve shows them."));
      nodes.push(...this.originOf(run, plan, fetched));
      return nodes;
    }

    /** Say what each step of a plan did: the ticks in which it ran, and what changed of the agent. */
    followed(run, agent, plan, next, count) {
      const done = Array.from({ length: count }, () => ({ from: null, to: null, changed: [] }));
      const last = Math.min(next ? next.f - 1 : run.ticks.length - 1, plan.f + FOLLOWED_MAX, run.gone[agent] - 1);
      const progress = run.step === undefined ? null : run.series[run.step], status = run.status === undefined ? null : run.series[run.status];
      let at = 0;
      for (let f = plan.f; f <= last; f++) {
        if (at >= count) break;
        const entry = done[at];
        if (entry.from === null) entry.from = run.ticks[f];
        entry.to = run.ticks[f];
        for (const series of run.series) {
          if (series.kind === "look" || series.name.startsWith("Progress.")) continue;
          const frames = series.frames[agent];
          if (!frames) continue;
          const found = before(frames, f);
          if (found > 0 && frames[found] === f) entry.changed.push([series, series.values[agent][found - 1], series.values[agent][found]]);
        }
        if (status && f > plan.f && status.at(agent, f) !== 1) break;
        if (status && f === plan.f && status.at(agent, f) > 1) break;
        if (progress) at = progress.at(agent, f);
      }
      return done.map((entry) => {
        if (entry.from === null) return "not reached";
        const ticks = entry.from === entry.to ? `tick ${entry.from}` : `ticks ${entry.from} to ${entry.to}`, first = new Map();
        for (const [series, old, now] of entry.changed) first.set(series, [first.has(series) ? first.get(series)[0] : old, now]);
        const what = [...first].slice(0, 6).map(([series, [old, now]]) => `${series.name} ${run.words(series, old)} \u2192 ${run.words(series, now)}`);
        return `${ticks}${what.length ? `: ${what.join(", ")}` : ""}`;
      });
    }

    originOf(run, plan, fetched) {
      const own = plan.origin, nodes = [];
      const texts = own ? { knowledge: run.text(own.knowledge), system: run.text(own.system), user: run.text(own.user), reply: run.text(own.reply) } : fetched ? { knowledge: JSON.stringify(fetched.snapshot), system: fetched.prompt && fetched.prompt.system, user: fetched.prompt && fetched.prompt.user, reply: fetched.reply } : null;
      const attempts = (run.frames[plan.f].a || []).filter(([, outcome, keys]) => (run.about.model || outcome !== "unavailable") && (keys=== "*" || [...keysOf(keys)].includes(this.agent)));
      if (attempts.length) nodes.push(el("h2", {}, "Attempts"), el("table", {}, ...attempts.map(([tier, outcome, , error]) => el("tr", {}, el("td", {}, tier), el("td", {}, outcome), el("td", {}, error || ""))), el("tr", {}, el("td", {}, plan.tier), el("td", {}, "ok"), el("td", {}, ""))));
      if (!texts) { if (!this.start.served) nodes.push(el("p", { class: "note" }, "What it knew is in the page for plans of models; tickweave view --serve shows it for every plan.")); return nodes; }
      const block = (name, text, open) => { if (!text || text === "null") return; const made = el("details", {}, el("summary", {}, name), el("pre", {}, text)); made.dataset.name = name; made.open = Boolean(open); nodes.push(made); };
      let known = texts.knowledge;
      try { known = JSON.stringify(JSON.parse(texts.knowledge), null, 1); } catch { /* cut for its length */ }
      block("What it knew", known);
      block("Prompt", texts.user, true);
      block("System prompt", texts.system);
      block("Reply", texts.reply, true);
      return nodes;
    }

    /** Ask the server for a plan that is not in the page; the panel is drawn again when it comes. */
    fetched(run, plan) {
      if (!this.start.served || plan.origin) return null;
      const name = `${this.runs.indexOf(run)}:${plan.t}:${this.agent}`;
      if (this.asked === undefined) this.asked = new Map();
      if (!this.asked.has(name)) {
        this.asked.set(name, null);
        fetch(`agent?run=${this.runs.indexOf(run)}&t=${plan.t}&a=${this.agent}`).then((reply) => reply.json()).then((found) => { if (!found.error) { this.asked.set(name, found); this.dirty = true; } }).catch(() => {});
      }
      return this.asked.get(name);
    }

    ribbon(run, plans) {
      const canvas = el("canvas", { class: "ribbon", height: 14, width: 700, title: "Plans by tier; click goes there" }), c = canvas.getContext("2d");
      const ticks = this.last - this.first + 1, unit = 700 / ticks;
      plans.forEach((plan, i) => { const end = i + 1 < plans.length ? plans[i + 1].t : this.last + 1; c.fillStyle = run.tierColour.get(plan.tier) || LAST; c.fillRect((plan.t - this.first) * unit, 2, Math.max((end - plan.t) * unit - 1, 1), 10); });
      c.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
      c.fillRect((this.tick - this.first + 0.5) * unit - 1, 0, 2, 14);
      canvas.onclick = (event) => { const box = canvas.getBoundingClientRect(); this.playing = this.following = false; this.go(Math.floor(this.first + ((event.clientX - box.left) / box.width) * ticks)); };
      return canvas;
    }

    overview() {
      const nodes = [], found = this.start.difference;
      if (this.hits) {
        nodes.push(el("h2", {}, `${this.hits.length}${this.hits.length === HITS_MAX ? " or more" : ""} found`), el("div", { class: "hits" }, ...this.hits.map((hit) => el("button", { on: { click: () => { if (hit.tick !== undefined) this.go(hit.tick); this.choose(hit.key); } } }, hit.words))));
      }
      if (found) {
        nodes.push(el("h2", {}, "Comparison"), el("p", {}, found.same ? "Both replays are of the same run." : found.where === "header" ? `They differ from the start: ${found.names.join(", ")}.` : found.where === "length" ? `They are the same for ${found.tick} ticks; one of them goes on.` : `They part in tick ${found.tick}: ${found.names.join(", ")}.`));
        if (found.values && found.values.length) nodes.push(el("table", {}, el("tr", {}, el("th", {}, "value"), el("th", {}, "agent"), ...this.runs.map((run) => el("th", {}, run.about.name))), ...found.values.map(([name, key, a, b]) => el("tr", { class: "agent", on: { click: () => this.choose(key) } }, el("td", {}, name), el("td", {}, String(key)), el("td", { class: "differs" }, a), el("td", { class: "differs" }, b)))));
        if (found.more) nodes.push(el("p", { class: "note" }, `and ${found.more} values more`));
        if (found.note) nodes.push(el("p", { class: "note" }, found.note));
      }
      this.runs.forEach((run) => {
        const f = run.frameOf(this.tick), frame = run.frames[f], about = run.about, planned = run.counts[f];
        if (this.runs.length > 1) nodes.push(el("h2", {}, about.name));
        nodes.push(el("h2", {}, this.tick < 0 ? "The start" : `Tick ${run.ticks[f]}`));
        const facts = [["agents", run.keys.filter((_, agent) => run.isAlive(agent, f)).length]];
        for (const [tier, count] of Object.entries(planned)) facts.push([`planned by ${tier}`, count]);
        if (frame.r) facts.push(["asked of a model", [...keysOf(frame.r)].length]);
        if (frame.u) facts.push(["calls", `${frame.u.calls} for ${frame.u.agents} agents`], ["tokens", `${frame.u.prompt_tokens ?? "?"} read, ${frame.u.completion_tokens ?? "?"} written`]);
        nodes.push(el("table", {}, ...facts.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", { class: "number" }, String(value))))));
        if (frame.i) nodes.push(el("h2", {}, "Inputs"), ...frame.i.map(([text, why]) => el("pre", {}, text + (why ? `\nrefused: ${why}` : ""))));
        if (frame.a && about.model) nodes.push(el("h2", {}, "Attempts that failed"), el("table", {}, ...frame.a.map(([tier, outcome, keys, error]) => el("tr", {}, el("td", {}, tier), el("td", {}, outcome), el("td", {}, keys === "*" ? "all" : keys), el("td", {}, error || "")))));
        if (run.ends && f === run.ticks.length - 1) nodes.push(el("p", {}, `The end: ${run.ends}`));
      });
      nodes.push(el("p", { class: "note" }, "Click an agent to see its values, its plans and what it was asked. ? lists the keys."));
      this.setPanel(nodes);
    }

    search() {
      const wanted = $("search").value.trim().toLowerCase();
      this.found = new Set(); this.hits = null; this.dirty = true;
      if (!wanted) return;
      this.hits = []; this.agent = null;
      const run = this.run(), f = run.frameOf(this.tick);
      const hit = (key, words, tick) => { this.found.add(key); if (this.hits.length < HITS_MAX) this.hits.push({ key, words, tick }); };
      run.keys.forEach((key, agent) => {
        if (run.isAlive(agent, f)) {
          if (String(key) === wanted) { hit(key, `agent ${key}`); return; }
          const series = run.series.find((each) => ["enum", "text", "texts", "look"].includes(each.kind) && run.words(each, each.at(agent, f)).toLowerCase().includes(wanted));
          if (series) { hit(key, `${key}: ${series.name} ${run.words(series, series.at(agent, f))}`); return; }
          const look = run.lookOf(agent, f), name = look && look.colour !== null && look.names[run.series[look.colour].at(agent, f)];
          if (name && name.toLowerCase().includes(wanted)) { hit(key, `${key}: ${name}`); return; }
        }
        for (const plan of run.plans[agent] || []) {
          const texts = [plan.tier, ...(plan.steps || []).map((step) => run.text(step)), plan.origin ? run.text(plan.origin.reply) : ""];
          const text = texts.find((each) => each && each.toLowerCase().includes(wanted));
          if (text) { hit(key, `${key}, tick ${plan.t}: ${text.slice(0, 120)}`, plan.t); return; }
        }
      });
    }

    // -- live

    live() {
      const source = new EventSource("events");
      source.onmessage = (event) => {
        const said = JSON.parse(event.data);
        if (said.over) { this.over = true; source.close(); this.ended(); $("state").textContent = clean(said.over); return; }
        if (said.note !== undefined) { if (!said.same) $("state").textContent = clean(said.note || "running"); return; }
        if (said.frame.t <= this.last && this.run().ticks.length) return;
        this.run().add(said.frame);
        this.ended();
        if (this.following) this.go(this.last); else this.dirty = true;
        if (!this.refresh) this.refresh = setTimeout(() => { this.refresh = null; for (const chart of this.charts) chart.update(); }, 250);
      };
      source.onerror = () => { if (!this.over) $("state").textContent = "the run does not answer"; };
    }
  }

  const stepWords = ({ act, step, ticks, ...values }) => [act, ...Object.entries(values).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)].join(" ");

  // -- start -----------------------------------------------------------------------------------------------------------

  const bytes = (id) => Uint8Array.from(atob($(id).textContent), (char) => char.charCodeAt(0));
  async function unpacked(id) {
    const packed = bytes(id);
    if (!packed.length) return [];
    const text = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    return JSON.parse(text);
  }

  async function begin() {
    const start = JSON.parse(new TextDecoder().decode(bytes("start-data")));
    const parts = start.served === "live" ? await (await fetch("frames")).json() : await unpacked("frames");
    const view = new View(parts, start);
    if (start.served === "live") view.live();
    window.tickweave = view;
    document.body.dataset.ready = "yes";
  }
  begin().catch((error) => { $("state").textContent = clean(`This page cannot be shown: ${error.message}`); throw error; });
})();
