// The explorer's page: its controls, its address (?gene=&line=&predictor=&with=) and what it shows for them.
(() => {
  const explorer = window.kgpertExplorer;
  const box = document.getElementById("kgpert-explorer");
  const { element } = explorer;
  const pageTitle = document.title;
  const PLACES = ["gene", "with"];
  let state = {};
  let order = "predicted";
  let controls = {};
  let turn = 0;

  const byName = (rows, name) => rows.find((row) => row.name === name);

  const address = (asked) => {
    const query = new URLSearchParams();
    for (const name of ["gene", "line", "predictor", "with"]) if (asked[name]) query.set(name, asked[name]);
    return `?${query}`;
  };

  // The state that an address asks for; what it leaves open or what does not exist is as at first.
  const read = () => {
    const { meta } = explorer;
    const query = new URLSearchParams(location.search);
    const line = (query.get("line") || "").toLowerCase();
    return {
      gene: query.get("gene") || meta.first.gene,
      line: byName(meta.lines, line) ? line : meta.first.line,
      predictor: byName(meta.predictors, query.get("predictor")) ? query.get("predictor") : meta.first.predictor,
      with: query.get("with") || "",
    };
  };

  const write = (method) => {
    try {
      history[method](null, "", address(state));
    } catch {
      // some browsers keep the address of a file as it is
    }
  };

  const go = async (change) => {
    state = { ...state, ...change };
    write("pushState");
    await show();
  };

  const say = (text) => (controls.live.textContent = text);

  const message = (...children) => element("p", { class: "kx-message", role: "alert" }, children);

  // One sentence on a text that names no gene or several, with what to choose instead.
  const unclear = (text, { symbols, nearest }, place) => {
    const offered = symbols.length ? symbols : nearest;
    const links = offered.flatMap((symbol, k) => [
      k ? ", " : "",
      element("a", { href: address({ ...state, [place]: symbol }), "data-gene": symbol, "data-place": place }, symbol),
    ]);
    if (symbols.length) return message(`“${text}” is another name of several genes: `, ...links, ".");
    return message(`No gene is called “${text}”`, ...(links.length ? ["; spelt alike: ", ...links] : []), ".");
  };

  const fail = (place) => (text, resolved) => {
    controls.notice.replaceChildren(unclear(text, resolved, place));
  };

  // The symbols of the state's genes; null, with a notice, for one that is unclear.
  const resolved = async () => {
    const genes = {};
    for (const place of PLACES.filter((name) => state[name])) {
      const answer = await explorer.resolve(state[place]);
      if (answer.symbols.length === 1) genes[place] = answer.symbols[0];
      else controls.notice.append(unclear(state[place], answer, place));
    }
    return genes;
  };

  const common = (genes, loaded) => {
    const [one, two] = loaded.map(({ record }) => new Set((record?.neighbours || []).map(([symbol]) => symbol)));
    const both = [...one].filter((symbol) => two.has(symbol));
    if (!both.length) return `${genes[0]} and ${genes[1]} share no listed neighbour.`;
    const named = both.slice(0, 8).join(", ") + (both.length > 8 ? " and others" : "");
    return `${genes[0]} and ${genes[1]} share ${both.length} listed neighbour${both.length > 1 ? "s" : ""}: ${named}.`;
  };

  // Shows the state. A call that comes while an earlier one still reads its data takes its place.
  const show = async () => {
    const mine = ++turn;
    const { meta } = explorer;
    const [line, predictor] = [byName(meta.lines, state.line), byName(meta.predictors, state.predictor)];
    controls.notice.replaceChildren();
    const genes = await resolved();
    const shown = PLACES.filter((place) => genes[place]);
    let loaded;
    try {
      loaded = await Promise.all(shown.map((place) => explorer.read(genes[place], line, predictor)));
    } catch (error) {
      controls.notice.replaceChildren(message(`${error.message} Build the explorer again.`));
      return;
    }
    if (mine !== turn) return;
    if (shown.some((place) => genes[place] !== state[place])) {
      state = { ...state, ...genes };
      write("replaceState");
    }
    const span = Math.max(...loaded.map(explorer.span));
    const cards = shown.map((place, k) =>
      explorer.card(genes[place], loaded[k], {
        place,
        line,
        predictor,
        span,
        order,
        arrange: (value) => {
          order = value;
          show();
        },
        address: (symbol) => address({ ...state, [place]: symbol }),
        open: (symbol) => open(symbol, place),
      }),
    );
    const focused = controls.cards.contains(document.activeElement) ? document.activeElement : null;
    controls.cards.replaceChildren(...cards);
    controls.cards.classList.toggle("kx-two", cards.length > 1);
    controls.common.textContent =
      cards.length > 1
        ? common(
            shown.map((place) => genes[place]),
            loaded,
          )
        : "";
    controls.fields.gene.show(genes.gene || state.gene);
    controls.fields.with.show(genes.with || state.with);
    controls.line.value = state.line;
    controls.predictor.value = state.predictor;
    const names = shown.map((place) => genes[place]).join(" and ");
    if (names) document.title = `${names} in ${line.title} · ${pageTitle}`;
    if (names) say(`${names} in ${line.title}, ${predictor.title}.`);
    if (focused) (document.getElementById(focused.id || "none") || controls.cards.querySelector("h2"))?.focus();
    box.dataset.shown = `${names} ${state.line} ${state.predictor}`;
  };

  const open = (symbol, place) => go({ [place]: symbol });

  const choice = (id, label, rows, change) => {
    const select = element(
      "select",
      { id },
      rows.map(({ name, title }) => element("option", { value: name }, title)),
    );
    select.addEventListener("change", () => change(select.value));
    return [select, element("div", { class: "kx-field" }, [element("label", { for: id }, label), select])];
  };

  const licences = () => {
    const { meta } = explorer;
    const web = (url) => /^https:\/\//.test(url || "");
    return element("footer", { class: "kx-foot" }, [
      element("p", {}, [
        `Data: ${meta.atlas}, ${meta.kind}. `,
        ...meta.licence.flatMap(({ what, licence, url }, k) => [
          k ? "; " : "Licences: ",
          `${what}: `,
          web(url) ? element("a", { href: url, rel: "noopener" }, licence) : licence,
        ]),
        ".",
      ]),
      meta.licence.some(({ attribution }) => attribution) &&
        element("details", {}, [
          element("summary", {}, "Attribution"),
          element(
            "ul",
            {},
            meta.licence
              .filter(({ attribution }) => attribution)
              .map((row) => element("li", {}, `${row.what}: ${row.attribution}`)),
          ),
        ]),
      element("p", {}, `${meta.listed.toLocaleString("en")} genes; split ${meta.split}; kgpert ${meta.version}.`),
    ]);
  };

  const build = () => {
    const { meta } = explorer;
    const field = (place, label, placeholder) =>
      explorer.geneField({
        id: `kx-${place}`,
        label,
        placeholder,
        optional: place === "with",
        pick: (symbol) => open(symbol, place),
        fail: fail(place),
      });
    const fields = {
      gene: field("gene", "Gene", "symbol, alias, Ensembl or Entrez"),
      with: field("with", "Compare with", "a second gene"),
    };
    const [line, lineField] = choice("kx-line", "Cell line", meta.lines, (value) => go({ line: value }));
    const [predictor, predictorField] = choice("kx-predictor", "Predictor", meta.predictors, (value) =>
      go({ predictor: value }),
    );
    controls = {
      fields,
      line,
      predictor,
      notice: element("div", { class: "kx-notice" }),
      common: element("p", { class: "kx-common" }),
      live: element("p", { class: "kx-live", "aria-live": "polite" }),
      cards: element("div", { class: "kx-cards" }),
    };
    const form = element("form", { class: "kx-controls", role: "search", "aria-label": "Gene explorer" }, [
      fields.gene.box,
      lineField,
      predictorField,
      fields.with.box,
    ]);
    form.addEventListener("submit", (event) => event.preventDefault());
    const simulated = meta.kind === "simulated";
    box.replaceChildren(
      ...[
        (meta.note || simulated) &&
          element("p", { class: "kx-simulated", role: "note" }, [
            simulated && element("strong", {}, "Simulated data. "),
            meta.note || "These numbers come from a simulation and from no experiment.",
          ]),
        form,
        controls.notice,
        controls.common,
        controls.live,
        controls.cards,
        licences(),
      ].filter(Boolean),
    );
    box.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-gene]");
      if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      open(link.dataset.gene, link.dataset.place);
    });
    window.addEventListener("popstate", () => {
      state = read();
      show();
    });
  };

  const start = async () => {
    explorer.root = box.dataset.root;
    try {
      [explorer.meta] = await Promise.all(["meta", "names"].map(explorer.load));
    } catch (error) {
      box.replaceChildren(
        message(
          `${error.message} The explorer's data are written by `,
          element("code", {}, "make book"),
          " and ",
          element("code", {}, "kgpert explorer"),
          ".",
        ),
      );
      return;
    }
    build();
    state = read();
    await show();
  };

  start();
})();
