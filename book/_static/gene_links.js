// A cell of a table that holds nothing but the symbol of a gene in the explorer links to that gene's page; not in a
// table of another kind of atlas, real or simulated, than the explorer shows.
document.addEventListener("DOMContentLoaded", async () => {
  if (document.getElementById("kgpert-explorer")) return;
  const page = [...document.querySelectorAll(".bd-sidebar a")].find(({ pathname }) =>
    pathname.endsWith("/book/explorer.html"),
  );
  const text = (cell) => cell.textContent.trim();
  const cells = [...document.querySelectorAll(".bd-article table :is(td, th)")].filter(
    (cell) => /^[A-Z][A-Za-z0-9.-]{1,19}$/.test(text(cell)) && !cell.querySelector("a"),
  );
  if (!page || !cells.length) return;
  const data = {};
  window.kgpertExplorer = { add: (key, value) => (data[key] = value) };
  const load = (key) =>
    new Promise((resolve) => {
      const script = document.createElement("script");
      script.onload = script.onerror = resolve;
      script.src = new URL(`../explorer/data/${key}.js`, page.href).href;
      document.head.append(script);
    });
  await Promise.all(["names", "meta"].map(load));
  if (!data.names || !data.meta) return;
  const genes = new Set(data.names.genes);
  const lines = new Map(
    data.meta.lines.flatMap(({ name, title }) => [
      [name.toLowerCase(), name],
      [title.toLowerCase(), name],
    ]),
  );

  // The line that a row names, itself or in a cell that reaches down to it; else the only one that the caption names.
  const lineOf = (row) => {
    for (let above = row, k = 0; above; above = above.previousElementSibling, k++) {
      for (const cell of above.cells) {
        if (cell.rowSpan > k && lines.has(text(cell).toLowerCase())) return lines.get(text(cell).toLowerCase());
      }
    }
    const words = (row.closest("table").caption?.textContent.toLowerCase() || "").split(/[^a-z0-9]+/);
    const named = new Set(words.filter((word) => lines.has(word)).map((word) => lines.get(word)));
    return named.size === 1 ? [...named][0] : "";
  };

  const other = data.meta.kind === "real" ? "simulated" : "(real)";
  const asks = (cell) => genes.has(text(cell)) && !cell.closest("table").caption?.textContent.includes(other);

  for (const cell of cells.filter(asks)) {
    const link = document.createElement("a");
    const query = new URLSearchParams({ gene: text(cell) });
    const line = lineOf(cell.closest("tr"));
    if (line) query.set("line", line);
    link.href = `${page.href}?${query}`;
    link.title = "Open in the gene explorer";
    link.append(...cell.childNodes);
    cell.append(link);
  }
});
