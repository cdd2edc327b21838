// A network at work: the picture, what passes, and the last packets. One binary message comes a tick.
//
// Names reach the page as text only (textContent). The picture and a packet's tree are made by vnet, which escapes every name;
// they are parsed apart from the page, and what could run is left out of them all the same.

const MOST_PACKETS = 200;
const COLOURS = ["#3b6fb6", "#b7742b"];

const make = (tag, parent, text, style) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (style) made.style.cssText = style;
  if (parent) parent.append(made);
  return made;
};

const harmless = (root) => {
  for (const found of root.querySelectorAll("script,iframe,object,embed,foreignObject,link,meta,form")) found.remove();
  for (const each of [root, ...root.querySelectorAll("*")]) {
    for (const { name, value } of [...each.attributes]) {
      if (/^on/i.test(name) || /^\s*javascript:/i.test(value)) each.removeAttribute(name);
    }
  }
  return root;
};

const UNITS = ["", "k", "M", "G", "T"];
const short = (number) => {
  let unit = 0;
  while (number >= 999.5 && unit < UNITS.length - 1) [number, unit] = [number / 1000, unit + 1];
  const digits = unit === 0 || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  return number.toFixed(digits) + UNITS[unit];
};

const CELL = "padding:1px 10px 1px 0;border:0;text-align:right;font-variant-numeric:tabular-nums";
const FIRST = "padding:1px 10px 1px 0;border:0;text-align:left";

function table(parent, head, label) {
  const made = make("table", parent, undefined, "border-collapse:collapse;margin:4px 0;font-size:90%;color:inherit;background:none");
  made.setAttribute("aria-label", label);
  const row = make("tr", make("thead", made));
  head.forEach((text, at) => {
    make("th", row, text, (at ? CELL : FIRST) + ";font-weight:600;border-bottom:1px solid rgba(128,128,128,.35)").scope = "col";
  });
  const body = make("tbody", made);
  return {
    body,
    add(cells) {
      const row = make("tr", body, undefined, "background:none");
      return cells.map((text, at) => make("td", row, text, at ? CELL : FIRST));
    },
  };
}

const set = (cell, text) => {
  if (cell.textContent !== text) cell.textContent = text;
};

export default {
  render({ model, el }) {
    el.style.cssText = "color:inherit;overflow-x:auto";
    el.dataset.vnetLive = "";
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const head = make("div", el, undefined, "opacity:.75;font-size:90%");
    const picture = make("div", el);
    const numbers = make("div", el);
    const packets = make("div", el, undefined, "display:flex;gap:16px;align-items:flex-start;flex-wrap:wrap");
    const list = make("div", packets, undefined, "max-height:260px;overflow-y:auto;min-width:420px;flex:1");
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "packets");
    const decoded = make("div", packets, undefined, "flex:1;min-width:380px;max-height:420px;overflow:auto");
    decoded.dataset.vnetDecoded = "";
    decoded.setAttribute("aria-live", "polite");

    let links = [];
    let stages = [];
    let ticks = 0;
    let chosen = null;

    const lay = () => {
      const layout = model.get("layout_");
      if (!layout || !layout.svg) return;
      if (layout.note) list.textContent = layout.note;
      const parsed = new DOMParser().parseFromString(layout.svg, "image/svg+xml").documentElement;
      picture.replaceChildren(document.importNode(harmless(parsed), true));
      const svg = picture.firstElementChild;
      const ways = new Map();
      for (const way of svg.querySelectorAll("path.link")) {
        const title = way.querySelector("title");
        if (title) ways.set(title.textContent.split(": ")[0], way);
      }
      const over = document.createElementNS("http://www.w3.org/2000/svg", "g");
      over.setAttribute("aria-hidden", "true");
      // Above the lines, below boxes and labels.
      const lines = [...svg.querySelectorAll("path.link")];
      if (lines.length) lines[lines.length - 1].after(over);
      numbers.replaceChildren();
      const rates = table(
        numbers,
        ["link", "path", "a \u2192 b: frames/s", "bit/s", "queue", "drops", "b \u2192 a: frames/s", "bit/s", "queue", "drops"],
        "links",
      );
      links = layout.links.map((link) => {
        const cells = rates.add([link.name, link.path, "0", "0", "0", "0", "0", "0", "0", "0"]);
        cells[0].title = `${link.a} \u2194 ${link.b}`;
        const way = ways.get(link.name);
        const dots = [0, 1].map((end) =>
          [0, 1, 2, 3].map(() => {
            const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
            dot.setAttribute("r", "3");
            dot.setAttribute("fill", COLOURS[end]);
            dot.style.display = "none";
            over.append(dot);
            return dot;
          }),
        );
        return { cells, way, dots, length: way ? way.getTotalLength() : 0, rates: [0, 0], drops: [-1, -1] };
      });
      stages = [];
      if (layout.stages.length) {
        const plugins = table(numbers, ["plugin", "state", "frames/s", "frames", "ns/packet", "drops"], "plugins");
        stages = layout.stages.map((stage) => plugins.add([stage.name, stage.state, "0", "0", "0", "0"]));
      }
    };

    const move = (now) => {
      for (const { way, dots, length, rates } of links) {
        if (!way) continue;
        rates.forEach((rate, end) => {
          // A dot for each factor of 30: one for a ping, four for a flood.
          const count = rate > 0 ? Math.min(4, 1 + Math.floor(Math.log10(rate + 1) / 1.5)) : 0;
          dots[end].forEach((dot, at) => {
            dot.style.display = at < count ? "" : "none";
            if (at >= count) return;
            const part = (now / 1200 + at / count + end * 0.5) % 1;
            const point = way.getPointAtLength(length * (end ? 1 - part : part));
            dot.setAttribute("cx", point.x);
            dot.setAttribute("cy", point.y);
          });
        });
      }
      frame = requestAnimationFrame(move);
    };

    const tick = (view) => {
      let at = 0;
      const next = () => {
        at += 8;
        return view.getFloat64(at - 8, true);
      };
      const [linked, staged] = [next(), next()];
      ticks += 1;
      set(head, `${linked} links, tick ${ticks}`);
      el.dataset.vnetTicks = String(ticks);
      if (linked !== links.length || staged !== stages.length) return;
      for (const link of links) {
        for (const end of [0, 1]) {
          const [frames, bits, queue, drops] = [next(), next(), next(), next()];
          link.rates[end] = frames;
          const cell = 2 + 4 * end;
          set(link.cells[cell], short(frames));
          set(link.cells[cell + 1], short(bits));
          set(link.cells[cell + 2], String(queue));
          set(link.cells[cell + 3], String(drops));
          const dropped = link.drops[end] >= 0 && drops > link.drops[end];
          link.cells[cell + 3].style.color = dropped ? "#c8453b" : "";
          link.drops[end] = drops;
        }
        if (link.way && still) link.way.style.strokeWidth = String(1.5 + Math.log10(1 + link.rates[0] + link.rates[1]));
      }
      for (const cells of stages) {
        const [rate, frames, ns, drops] = [next(), next(), next(), next()];
        set(cells[2], short(rate));
        set(cells[3], String(frames));
        set(cells[4], ns.toFixed(0));
        set(cells[5], String(drops));
      }
      const text = new TextDecoder();
      while (at + 24 <= view.byteLength) {
        const [number, seconds] = [next(), next()];
        const [size, place, summary] = [view.getUint32(at, true), view.getUint16(at + 4, true), view.getUint16(at + 6, true)];
        at += 8;
        const words = (length) => {
          at += length;
          return text.decode(new Uint8Array(view.buffer, view.byteOffset + at - length, length));
        };
        show(number, seconds, size, words(place), words(summary));
      }
    };

    const show = (number, seconds, size, place, summary) => {
      const follows = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
      const row = make("div", list, undefined, "cursor:pointer;white-space:nowrap;font-size:85%;font-family:ui-monospace,monospace");
      row.setAttribute("role", "option");
      row.tabIndex = 0;
      row.dataset.packet = String(number);
      const clock = new Date(seconds * 1000).toISOString().slice(11, 23);
      row.textContent = `${clock}  ${place}  ${summary}  (${size} B)`;
      while (list.childElementCount > MOST_PACKETS) list.firstElementChild.remove();
      if (follows) list.scrollTop = list.scrollHeight;
    };

    const ask = (row) => {
      if (!row || row.dataset.packet === undefined) return;
      if (chosen) chosen.style.background = "";
      chosen = row;
      row.style.background = "rgba(74,134,200,.25)";
      decoded.textContent = "asking\u2026";
      model.send({ decode: Number(row.dataset.packet) });
    };
    list.addEventListener("click", (event) => ask(event.target.closest("[data-packet]")));
    list.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") ask(event.target.closest("[data-packet]"));
    });

    const heard = (message, buffers) => {
      if (message.tick !== undefined && buffers && buffers.length) {
        const found = buffers[0];
        tick(found instanceof DataView ? found : new DataView(found.buffer ?? found, found.byteOffset ?? 0, found.byteLength));
      } else if (message.decoded !== undefined) {
        if (!chosen || Number(chosen.dataset.packet) !== message.decoded) return;
        decoded.replaceChildren();
        if (message.note) make("div", decoded, message.note);
        for (const part of [message.walk, message.html]) {
          if (!part) continue;
          const parsed = new DOMParser().parseFromString(part, "text/html").body;
          for (const child of [...harmless(parsed).childNodes]) decoded.append(document.importNode(child, true));
        }
      }
    };

    const ended = () => {
      if (!model.get("ended")) return;
      set(head, `${head.textContent || "no tick"} \u2014 ended`);
      for (const link of links) link.rates = [0, 0];
    };

    let frame = still ? 0 : requestAnimationFrame(move);
    lay();
    ended();
    model.on("change:layout_", lay);
    model.on("change:ended", ended);
    model.on("msg:custom", heard);
    return () => {
      cancelAnimationFrame(frame);
      model.off("change:layout_", lay);
      model.off("change:ended", ended);
      model.off("msg:custom", heard);
    };
  },
};
