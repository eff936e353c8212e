// One gene's card: what is known of it, its expected score, its network, the readout genes that move, the steps.
(() => {
  const explorer = window.kgpertExplorer;
  const SHOWN = 15;

  // An element with attributes and children; text is always set as text.
  explorer.element = (tag, attributes = {}, children = []) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...[children].flat().filter(Boolean));
    return node;
  };
  const { element } = explorer;

  explorer.number = (value, digits = 2) =>
    value
      .toFixed(digits)
      .replace(/^-0\.?0*$/, "0")
      .replace("-", "−");
  const { number } = explorer;
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
  const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

  // A graph's title without its details, or its name where several begin with the same words.
  explorer.graphTitle = (k) => {
    const short = explorer.meta.graphs.map(({ title }) => title.split(/, | \(/)[0]);
    return short.filter((title) => title === short[k]).length > 1 ? explorer.meta.graphs[k].name : short[k];
  };

  const listing = (words) =>
    words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
  const outside = (href, text) => element("a", { href, rel: "noopener", class: "kx-outside" }, text);

  const STATUS = {
    test: ["held out for test", "its own measurement is used for nothing but the comparison"],
    val: ["held out for validation", "its own measurement is used for nothing but the comparison"],
    train: ["for training", "its own measurement is left out of its own prediction"],
    none: ["not screened", "nothing was measured to compare with"],
  };

  // A link to another gene's page; plain text for a gene without records.
  const geneLink = (symbol, page) =>
    explorer.listed(symbol)
      ? element("a", { href: page.address(symbol), "data-gene": symbol, "data-place": page.place }, symbol)
      : element("span", {}, symbol);

  const title = (gene, facts, page, record) => {
    const links = [
      outside(`https://string-db.org/cgi/network?identifiers=${encodeURIComponent(gene)}&species=9606`, "STRING"),
    ];
    if (facts.entrez)
      links.push(outside(`https://www.ncbi.nlm.nih.gov/gene/${encodeURIComponent(facts.entrez)}`, "NCBI Gene"));
    if (facts.ensembl) {
      links.push(
        outside(`https://www.ensembl.org/Homo_sapiens/Gene/Summary?g=${encodeURIComponent(facts.ensembl)}`, "Ensembl"),
      );
    }
    const [status, meaning] = STATUS[record ? record.status : "none"];
    return element("header", { class: "kx-title" }, [
      element("h2", { tabindex: "-1", id: `kx-gene-${page.place}` }, gene),
      facts.name && element("p", { class: "kx-name" }, facts.name),
      element("p", { class: "kx-links" }, links),
      element("p", { class: "kx-status" }, [
        element("strong", { class: `kx-chip kx-chip-${record ? record.status : "none"}` }, status),
        ` in ${page.line.title}: ${meaning}.`,
      ]),
    ]);
  };

  // The expected score with its interval, and the reached one, in words and on a scale from `from` to 1.
  const scores = (expected, measured) => {
    const score = measured && measured[0] !== null ? measured : null;
    if (!expected && !score)
      return element("p", { class: "kx-expected" }, "No score can be expected or measured here.");
    const values = [expected && expected[1], score && score[0], 0].filter(
      (value) => value !== null && value !== undefined,
    );
    const from = Math.min(...values) < 0 ? Math.floor(Math.min(...values) * 5) / 5 : 0;
    const place = (value) => `${(100 * (Math.min(value, 1) - from)) / (1 - from)}%`;
    const words = [];
    const scale = element("div", { class: "kx-scale", "aria-hidden": "true" });
    const mark = (name, left, width) => {
      const span = element("span", { class: name });
      span.style.left = left;
      if (width) span.style.width = width;
      scale.append(span);
    };
    if (expected) {
      const [value, low, high, level] = expected;
      words.push(
        element("strong", {}, `Expected Pearson delta ${number(value)}`),
        `; ${Math.round(100 * level)} % of genes with such a neighbourhood score between ${number(low)} and ${number(high)}.`,
      );
      mark("kx-range", place(low), `${(100 * (Math.min(high, 1) - low)) / (1 - from)}%`);
      mark("kx-tick", place(value));
    }
    if (score) {
      const [pearson, centred, genes] = score;
      words.push(
        " ",
        element("strong", {}, `Reached ${number(pearson)}`),
        ` over its ${counted(genes, "measured readout gene")}` +
          (centred === null ? "." : `, ${number(centred)} when the mean of all knock-downs is taken away.`),
      );
      mark("kx-diamond", place(pearson));
    }
    return element("div", { class: "kx-expected" }, [
      element("p", {}, words),
      element("div", { class: "kx-scale-box" }, [
        element("span", { "aria-hidden": "true" }, number(from, from % 1 ? 1 : 0)),
        scale,
        element("span", { "aria-hidden": "true" }, "1"),
      ]),
    ]);
  };

  const network = (gene, record, page) => {
    const holder = element("div", {
      class: "kx-canvas",
      tabindex: "0",
      role: "application",
      "aria-label": `Network of ${gene} and its neighbours. Arrow keys go from neighbour to neighbour, Enter opens one.`,
    });
    const hint = "Choose a neighbour to open its page.";
    const status = element("p", { class: "kx-hint", "aria-live": "polite" }, hint);
    const neighbours = new Map(record.neighbours.map((row) => [row[0], row]));
    const say = (symbol, text) => {
      const row = neighbours.get(symbol);
      status.textContent = text || (row ? `${symbol}: ${percent(row[1])} of the mean${weights(row[2])}` : hint);
    };
    const legend = explorer.groups(record).map((group) => {
      const key = element("span", { class: `kx-key kx-key-${group.style < 0 ? "several" : group.style % 4}` });
      return element("li", {}, [key, `${group.title} (${group.members.length})`]);
    });
    const more = record.count - record.neighbours.length;
    explorer.network(holder, gene, record, { say, go: (symbol) => page.open(symbol) });
    return element("section", { class: "kx-network" }, [
      element("h3", {}, `${counted(record.count, "neighbour")} in the mean`),
      holder,
      element("ul", { class: "kx-legend" }, legend),
      more > 0 &&
        element("p", { class: "kx-hint" }, `Drawn are the ${record.neighbours.length} with the largest share.`),
      status,
    ]);
  };

  const weights = (given) => {
    const words = Object.entries(given).map(([graph, weight]) => {
      const name = explorer.graphTitle(graph);
      return weight === null ? name : `${name} ${number(weight)}`;
    });
    return words.length ? `; ${words.join(", ")}` : "";
  };

  // All that the bars of some rows show, and 0.
  const values = (rows) => [
    0,
    ...rows.flatMap(([, predicted, specific, , measured]) => [predicted, predicted - specific, measured || 0]),
  ];

  // What both directions' bars span at least: they have one scale.
  explorer.span = ({ record }) =>
    Math.max(
      0.1,
      ...[record?.up, record?.down].map((rows) => Math.max(...values(rows || [])) - Math.min(...values(rows || []))),
    );

  // Bars of one direction: prediction, mean of all knock-downs (tick) and measurement (diamond) on one axis.
  const bars = (rows, sign, heading, page) => {
    const { readouts, span, order } = page;
    const sorted = order === "specific" ? [...rows].sort((a, b) => Math.abs(b[2]) - Math.abs(a[2])) : rows;
    const start = sign > 0 ? Math.min(...values(rows)) : Math.max(...values(rows)) - span;
    const place = (value) => (100 * (value - start)) / span;
    const body = sorted.slice(0, SHOWN).map(([index, predicted, specific, neighbours, measured]) => {
      const mark = (name, from, to) => {
        const span = element("span", { class: name });
        span.style.left = `${Math.min(from, to)}%`;
        if (from !== to) span.style.width = `${Math.abs(to - from)}%`;
        return span;
      };
      const known = measured !== null && measured !== undefined;
      return element("tr", {}, [
        element("th", { scope: "row" }, geneLink(readouts.genes[index], page)),
        element("td", { class: "kx-bar-cell", "aria-hidden": "true" }, [
          element("div", { class: "kx-bar" }, [
            mark("kx-zero", place(0), place(0)),
            mark(predicted < 0 ? "kx-down" : "kx-up", place(0), place(predicted)),
            mark("kx-tick", place(predicted - specific), place(predicted - specific)),
            known && mark("kx-diamond", place(measured), place(measured)),
          ]),
        ]),
        element("td", { class: "kx-number" }, number(predicted)),
        element("td", { class: "kx-number" }, neighbours ? String(neighbours) : "0*"),
        element("td", { class: "kx-number" }, known ? number(measured, Number.isInteger(measured) ? 0 : 2) : "–"),
      ]);
    });
    const heads = ["readout gene", "", "predicted", "n", "measured"];
    return element("table", { class: "kx-bars" }, [
      element("caption", {}, heading),
      element("thead", {}, [
        element(
          "tr",
          {},
          heads.map((head) => element(head ? "th" : "td", head ? { scope: "col" } : { "aria-hidden": "true" }, head)),
        ),
      ]),
      element("tbody", {}, body),
    ]);
  };

  const changes = (record, page) => {
    const none = [...record.up, ...record.down].some((row) => !row[3]);
    const legend = [
      ["kx-key kx-key-up", "predicted to rise"],
      ["kx-key kx-key-down", "to fall"],
      ["kx-key kx-key-tick", "mean of all knock-downs"],
      ["kx-key kx-key-diamond", "measured"],
    ];
    const id = `kx-order-${page.place}`;
    const select = element("select", { id }, [
      element("option", { value: "predicted" }, "by prediction"),
      element("option", { value: "specific" }, "by difference from the mean"),
    ]);
    select.value = page.order;
    select.addEventListener("change", () => page.arrange(select.value));
    return element("section", { class: "kx-changes" }, [
      element("h3", {}, `What is predicted to change in ${page.line.title}`),
      element("p", { class: "kx-order" }, [element("label", { for: id }, "Order"), select]),
      element(
        "ul",
        { class: "kx-legend" },
        legend.map(([name, text]) => element("li", {}, [element("span", { class: name }), text])),
      ),
      bars(record.up, 1, "Rise", page),
      bars(record.down, -1, "Fall", page),
      element("p", { class: "kx-hint" }, [
        `Unit: ${explorer.meta.unit.replace(/-(?=\d)/g, "−")}. `,
        "n: neighbours that measured the readout gene",
        none ? " (0*: none, so the mean of all knock-downs stands in)." : ".",
        explorer.meta.measured ? " A dash: not measured." : " This copy holds no measured values.",
      ]),
    ]);
  };

  const terms = (facts) =>
    facts.go?.length > 0 &&
    element("section", { class: "kx-terms" }, [
      element("h3", {}, "In Gene Ontology"),
      element(
        "ul",
        {},
        facts.go.map(([id, name, shared]) =>
          element("li", {}, [
            outside(`https://amigo.geneontology.org/amigo/term/${encodeURIComponent(id)}`, name),
            shared > 0 && element("span", { class: "kx-note" }, ` shared with ${counted(shared, "neighbour")}`),
          ]),
        ),
      ),
    ]);

  const steps = (gene, record, page) => {
    const { line, predictor } = page;
    const done = [];
    const own = {
      test: `${gene} was knocked down in ${line.title} and held out for test. Its own measurement was not read.`,
      val: `${gene} was knocked down in ${line.title} and held out for validation. Its own measurement was not read.`,
      train: `${gene} was knocked down in ${line.title}, and its own measurement was left out of this prediction.`,
      none: `${gene} was not knocked down in ${line.title}.`,
    };
    done.push(own[record.status]);
    const tally = new Map();
    for (const [, , given] of record.neighbours) {
      for (const graph of Object.keys(given)) tally.set(graph, (tally.get(graph) || 0) + 1);
    }
    const several = record.neighbours.filter(([, , given]) => Object.keys(given).length > 1).length;
    const listed =
      record.neighbours.length < record.count ? ` of the ${record.neighbours.length} with the largest share,` : "";
    const named = [...tally].sort((a, b) => a[0] - b[0]).map(([graph, n]) => `${n} in ${explorer.graphTitle(graph)}`);
    done.push(...(predictor.steps || []));
    if (record.count) {
      const shares = record.neighbours.map((row) => row[1]);
      const equal = Math.max(...shares) - Math.min(...shares) < 0.0015;
      const smallest = `the smallest that is listed is ${percent(shares[shares.length - 1])}`;
      const parts = tally.size
        ? `:${listed} ${listing(named)}${several ? `, ${several} of them in more than one` : ""}`
        : "";
      done.push(
        `For ${gene} that leaves ${counted(record.count, "neighbour")} among the ${counted(line.train, "training gene")} ` +
          `of ${line.title}${parts}.`,
      );
      if (shares.length && equal) done.push(`Each of them is ${percent(shares[0])} of the mean.`);
      else if (shares.length) {
        done.push(`${record.neighbours[0][0]} has the largest share of the mean, ${percent(shares[0])}; ${smallest}.`);
      }
      const strongest = [...record.up, ...record.down]
        .filter((row) => row[3])
        .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]))[0];
      if (strongest) {
        const [index, predicted, specific, n] = strongest;
        done.push(
          `For example ${page.readouts.genes[index]}: ${n} of the ${record.count} neighbours measured it; the prediction is ` +
            `${number(predicted)}, where the mean of all knock-downs is ${number(predicted - specific)}.`,
        );
      }
    } else
      done.push(
        `No neighbour of ${gene} was measured for training in ${line.title}, so the prediction is the mean of all knock-downs.`,
      );
    if (record.score) done.push(`Only then the prediction was compared with the measured deltas of ${gene}.`);
    return element("details", { class: "kx-steps", open: "" }, [
      element("summary", {}, "What was done, step by step"),
      element(
        "ol",
        {},
        done.map((text) => element("li", {}, text)),
      ),
    ]);
  };

  const tables = (gene, record, page) => {
    const used = explorer.meta.graphs
      .map((_, k) => [explorer.graphTitle(k), String(k)])
      .filter(([, k]) => record.neighbours.some((row) => k in row[2]));
    const table = (caption, heads, rows) =>
      element("div", { class: "kx-scroll", tabindex: "0", role: "region", "aria-label": caption }, [
        element("table", {}, [
          element("caption", {}, caption),
          element("thead", {}, [
            element(
              "tr",
              {},
              heads.map((head) => element("th", { scope: "col" }, head)),
            ),
          ]),
          element(
            "tbody",
            {},
            rows.map(([first, ...rest]) =>
              element("tr", {}, [
                element("th", { scope: "row" }, first),
                ...rest.map((cell) => element("td", {}, cell)),
              ]),
            ),
          ),
        ]),
      ]);
    const change = ([index, predicted, specific, n, measured]) => [
      geneLink(page.readouts.genes[index], page),
      number(predicted, 3),
      number(specific, 3),
      n ? String(n) : "0*",
      measured === null || measured === undefined
        ? "not measured"
        : number(measured, Number.isInteger(measured) ? 0 : 3),
    ];
    const heads = ["readout gene", "predicted", "specific to the gene", "neighbours that measured it", "measured"];
    const weight = (value) => (value === undefined ? "–" : value === null ? "edge" : number(value, 3));
    return element("details", { class: "kx-tables" }, [
      element("summary", {}, "The same as plain tables"),
      record.neighbours.length > 0 &&
        table(
          `Neighbours of ${gene}: share of the mean, and weight of the edge in each graph`,
          ["neighbour", "share", ...used.map(([name]) => name)],
          record.neighbours.map(([symbol, share, given]) => [
            geneLink(symbol, page),
            percent(share),
            ...used.map(([, k]) => weight(given[k])),
          ]),
        ),
      table(
        `Readout genes predicted to rise when ${gene} is knocked down in ${page.line.title}`,
        heads,
        record.up.map(change),
      ),
      table(
        `Readout genes predicted to fall when ${gene} is knocked down in ${page.line.title}`,
        heads,
        record.down.map(change),
      ),
    ]);
  };

  // A gene without neighbours: the mean of all knock-downs of the line.
  const meanRecord = (readouts, line, predictor) => {
    const order = readouts.mean.map((value, index) => [index, value, 0, 0, null]).filter((row) => row[1] !== null);
    order.sort((a, b) => b[1] - a[1]);
    return {
      status: "none",
      neighbours: [],
      count: 0,
      up: order.slice(0, SHOWN).filter((row) => row[1] > 0),
      down: order
        .reverse()
        .slice(0, SHOWN)
        .filter((row) => row[1] < 0),
      expected: line.mean_expected?.[predictor.name] || null,
      score: null,
      edges: [],
    };
  };

  // What is shown of a gene: {record, facts, readouts}; record is null for a gene that no line of the atlas screened.
  explorer.read = async (gene, line, predictor) => {
    const bucket = explorer.bucket(gene);
    if (!explorer.listed(gene)) return { facts: (await explorer.load(`facts/${bucket}`))[gene] || {}, record: null };
    const [facts, readouts, records] = await Promise.all(
      [`facts/${bucket}`, `readouts/${line.name}`, `${line.name}/${predictor.name}/${bucket}`].map(explorer.load),
    );
    return { facts: facts[gene] || {}, readouts, record: records[gene] || meanRecord(readouts, line, predictor) };
  };

  // The card of a gene that was read; `page` holds where it stands, the line, the predictor and the bars' scale.
  explorer.card = (gene, { facts, record, readouts }, page) => {
    const within = { ...page, readouts };
    const card = element("article", { class: "kx-card", "aria-labelledby": `kx-gene-${page.place}` }, [
      title(gene, facts, page, record),
    ]);
    if (!record) {
      card.append(
        element("p", { class: "kx-message" }, [
          `${gene} was screened in no line of this atlas and has no record here; predict it on your own machine: `,
          element("code", {}, `kgpert predict ${gene} --line ${page.line.name} --predictor ${page.predictor.name}`),
        ]),
        terms(facts) || "",
      );
      return card;
    }
    const line = page.line.title;
    const shown = record.neighbours.length
      ? network(gene, record, page)
      : element("p", { class: "kx-message" }, [
          record.count
            ? `None of the ${record.count} neighbours of ${gene} has a share of the mean that is large enough to be listed.`
            : `No neighbour of ${gene} has training data in ${line}: this is the mean of all knock-downs.`,
        ]);
    const column = element("div", { class: "kx-column" }, [shown, terms(facts), steps(gene, record, within)]);
    card.append(
      scores(record.expected, record.score),
      element("div", { class: "kx-columns" }, [column, changes(record, within)]),
      tables(gene, record, within),
    );
    return card;
  };
})();
