// The network of one gene: the gene in the middle, its neighbours on rings, drawn by Cytoscape.js.
(() => {
  const explorer = window.kgpertExplorer;
  const APART = 58; // pixels that a name takes on a ring
  const RINGS = [[1], [0.55, 1], [0.4, 0.7, 1]]; // radii, of the largest that fits
  const STYLES = ["solid", "dashed", "dotted"];
  let library = null;
  const drawn = new Set();

  // Which graphs gave each neighbour: groups [{name, title, members, colour, line}], the largest first.
  explorer.groups = (record) => {
    const graphs = explorer.meta.graphs;
    const groups = new Map();
    for (const [symbol, , weights] of record.neighbours) {
      const given = Object.keys(weights).map(Number);
      const name = given.length > 1 ? "several" : String(given[0] ?? "none");
      if (!groups.has(name)) groups.set(name, { name, members: [] });
      groups.get(name).members.push(symbol);
    }
    for (const group of groups.values()) {
      const graph = graphs[Number(group.name)];
      const both = graphs.length === 2 || new Set(record.neighbours.flatMap(([, , w]) => Object.keys(w))).size === 2;
      if (group.name === "several") group.title = both ? "in both" : "in several graphs";
      else
        group.title = graph
          ? `${groups.size > 1 ? "only " : ""}in ${explorer.graphTitle(Number(group.name))}`
          : "in no graph by itself";
      group.style = graph ? Number(group.name) : -1;
    }
    return [...groups.values()].sort((a, b) => (b.name === "several") - (a.name === "several") || a.style - b.style);
  };

  const colour = (style, name) => {
    const wanted = name ? `--kx-${name}` : style < 0 ? "--kx-several" : `--kx-graph-${style % 4}`;
    return getComputedStyle(document.getElementById("kgpert-explorer")).getPropertyValue(wanted).trim();
  };

  // Neighbours of one ring, next to those that they have an edge with, as far as a walk along edges finds them.
  const walk = (symbols, edges) => {
    const left = [...symbols];
    const order = left.splice(0, 1);
    while (left.length) {
      const last = edges.get(order[order.length - 1]) || new Set();
      const next = left.findIndex((symbol) => last.has(symbol));
      order.push(...left.splice(Math.max(next, 0), 1));
    }
    return order;
  };

  // Where each gene stands in a box of this width and height.
  const places = (record, width, height) => {
    const edges = new Map();
    const symbols = record.neighbours.map(([symbol]) => symbol);
    for (const [i, j] of record.edges || []) {
      for (const [a, b] of [
        [i, j],
        [j, i],
      ]) {
        if (!edges.has(symbols[a])) edges.set(symbols[a], new Set());
        edges.get(symbols[a]).add(symbols[b]);
      }
    }
    const left = explorer.groups(record).flatMap(({ members }) => members);
    const [across, down] = [width / 2 - 36, height / 2 - 18];
    const room = (radii) => radii.map((radius) => Math.floor((2 * Math.PI * radius * across) / APART));
    const sum = (counts) => counts.reduce((total, count) => total + count, 0);
    const total = left.length;
    const radii = RINGS.find((some, k) => total <= sum(room(some)) * (k ? 1 : 0.7)) || RINGS[2];
    const result = new Map();
    radii.forEach((radius, k) => {
      const last = k === radii.length - 1;
      const count = last ? left.length : Math.round((total * room(radii)[k]) / sum(room(radii)));
      const order = walk(left.splice(0, count), edges);
      order.forEach((symbol, i) => {
        const angle = ((i + (k % 2) / 2) / order.length) * 2 * Math.PI - Math.PI / 2;
        result.set(symbol, {
          x: width / 2 + Math.cos(angle) * across * radius,
          y: height / 2 + Math.sin(angle) * down * radius,
        });
      });
    });
    return result;
  };

  const style = () => {
    const text = colour(0, "text");
    const ground = colour(0, "ground");
    return [
      {
        selector: "node",
        style: {
          "background-color": ground,
          "border-color": (node) => colour(node.data("style")),
          "border-style": (node) => STYLES[Math.max(node.data("style"), 0) % 3],
          "border-width": 1.5,
          color: text,
          "font-family": getComputedStyle(document.body).fontFamily,
          "font-size": 11,
          height: 20,
          label: "data(id)",
          shape: "round-rectangle",
          "text-halign": "center",
          "text-valign": "center",
          width: (node) => 12 + 7.2 * node.id().length,
        },
      },
      {
        selector: "node.gene",
        style: {
          "background-color": colour(0, "accent"),
          "border-width": 0,
          color: colour(0, "on-accent"),
          "font-size": 14,
          "font-weight": "bold",
          height: 30,
          width: (node) => 20 + 10 * node.id().length,
        },
      },
      { selector: "node.active", style: { "border-width": 3.5, "font-weight": "bold" } },
      {
        selector: "edge",
        style: {
          "curve-style": "straight",
          "line-color": (edge) => colour(edge.data("style")),
          "line-style": (edge) => STYLES[Math.max(edge.data("style"), 0) % 3],
          opacity: 0.75,
          width: "data(width)",
        },
      },
      { selector: "edge.among", style: { "line-color": text, "line-style": "solid", opacity: 0.13, width: 1 } },
      { selector: "edge.active", style: { opacity: 1 } },
      { selector: "edge.among.active", style: { opacity: 0.5 } },
      { selector: "core", style: { "active-bg-opacity": 0 } },
    ];
  };

  const draw = (holder, gene, record, { say, go }) => {
    const { clientWidth: width, clientHeight: height } = holder;
    const at = places(record, width, height);
    const styleOf = new Map(explorer.groups(record).flatMap((g) => g.members.map((symbol) => [symbol, g.style])));
    const largest = record.neighbours[0][1];
    const nodes = [{ data: { id: gene, style: -1 }, classes: "gene", position: { x: width / 2, y: height / 2 } }];
    const edges = [];
    for (const [symbol, share] of record.neighbours) {
      nodes.push({ data: { id: symbol, style: styleOf.get(symbol) }, position: at.get(symbol) });
      const weight = 0.8 + 2 * Math.sqrt(Math.max(share, 0) / largest);
      edges.push({ data: { source: gene, target: symbol, style: styleOf.get(symbol), width: weight } });
    }
    for (const [i, j] of record.edges || []) {
      const [source, target] = [record.neighbours[i][0], record.neighbours[j][0]];
      edges.unshift({ data: { source, target, style: -1, width: 1 }, classes: "among" });
    }
    const cy = window.cytoscape({
      container: holder,
      elements: { nodes, edges },
      style: style(),
      layout: { name: "preset", fit: false },
      autoungrabify: true,
      autounselectify: true,
      boxSelectionEnabled: false,
      userPanningEnabled: false,
      userZoomingEnabled: false,
    });
    const order = [...at.keys()];
    let active = "";
    const mark = (symbol) => {
      cy.elements().removeClass("active");
      active = symbol;
      const node = cy.getElementById(symbol);
      node.addClass("active");
      node.connectedEdges().addClass("active");
      say(symbol);
    };
    cy.on("mouseover", "node", (event) => {
      holder.style.cursor = event.target.id() === gene ? "default" : "pointer";
      if (event.target.id() !== gene) mark(event.target.id());
    });
    cy.on("mouseout", "node", () => {
      holder.style.cursor = "";
      mark("");
    });
    cy.on("tap", "node", (event) => event.target.id() !== gene && go(event.target.id()));
    holder.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        const from = active ? order.indexOf(active) : step > 0 ? -1 : 0;
        mark(order[(from + step + order.length) % order.length]);
      } else if (event.key === "Enter" && active) go(active);
      else if (event.key === "Escape") mark("");
    });
    holder.addEventListener("blur", () => mark(""));
    const watch = new ResizeObserver(() => {
      if (!holder.clientWidth) return;
      cy.resize();
      const moved = places(record, holder.clientWidth, holder.clientHeight);
      moved.set(gene, { x: holder.clientWidth / 2, y: holder.clientHeight / 2 });
      cy.nodes().positions((node) => moved.get(node.id()));
    });
    watch.observe(holder);
    drawn.add({ cy, watch, holder });
    holder.dataset.drawn = "true";
  };

  // Draws a network when the page has been shown; the library is loaded for the first one.
  explorer.network = async (holder, gene, record, actions) => {
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    try {
      library = library || explorer.script("cytoscape.min.js");
      await library;
    } catch {
      library = null;
      actions.say("", "The network could not be drawn; the tables below hold the same.");
      return;
    }
    for (const old of drawn) {
      if (old.holder.isConnected) continue;
      old.watch.disconnect();
      old.cy.destroy();
      drawn.delete(old);
    }
    if (holder.isConnected && holder.clientWidth) draw(holder, gene, record, actions);
  };

  const restyle = () => drawn.forEach(({ cy }) => cy.style(style()));
  new MutationObserver(restyle).observe(document.documentElement, { attributeFilter: ["data-theme"] });
})();
