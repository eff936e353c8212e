// The explorer's data. Each file is a script with one call, kgpertExplorer.add(key, value), so that pages opened from
// disk can read it; a file is loaded when something of it is first asked for.
(() => {
  const explorer = (window.kgpertExplorer = window.kgpertExplorer || {});
  const values = new Map();
  const loads = new Map();
  explorer.root = "";

  explorer.add = (key, value) => values.set(key, value);

  // Loads a script below the root; rejects where there is none.
  explorer.script = (path) =>
    new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.onload = resolve;
      element.onerror = () => reject(new Error(`${path} could not be read.`));
      element.src = explorer.root + path.split("/").map(encodeURIComponent).join("/");
      document.head.append(element);
    });

  // The value of a key.
  explorer.load = (key) => {
    if (!loads.has(key)) {
      const load = explorer.script(`data/${key}.js`).then(() => values.get(key));
      load.catch(() => loads.delete(key));
      loads.set(key, load);
    }
    return loads.get(key);
  };

  explorer.bucket = (symbol) =>
    String(new TextEncoder().encode(symbol).reduce((sum, byte) => sum + byte, 0) % values.get("meta").buckets);

  explorer.listed = (symbol) => {
    explorer.listedGenes = explorer.listedGenes || new Set(values.get("names").genes);
    return explorer.listedGenes.has(symbol);
  };

  const searchFile = (spelling) => {
    const ensembl = /^ensg\d*(\d)$/.exec(spelling);
    if (ensembl) return `search/ensg${ensembl[1]}`;
    return `search/${/^[a-z0-9]/.test(spelling) ? spelling[0] : "_"}`;
  };

  const normal = (text) =>
    text
      .trim()
      .toLowerCase()
      .replace(/^(ensg\d+)\.\d+$/, "$1");

  // Every spelling that the search file of this text holds, with the genes that it may name.
  const spellings = async (text) => {
    try {
      return new Map(Object.entries((await explorer.load(searchFile(text))) || {}));
    } catch {
      return new Map();
    }
  };

  // {symbols: [...]} that a text names exactly, else {symbols: [], nearest: [...]}: symbols spelt most alike.
  explorer.resolve = async (text) => {
    const asked = normal(text);
    const genes = values.get("names").genes;
    const listed = genes.find((symbol) => symbol.toLowerCase() === asked);
    if (listed) return { symbols: [listed] };
    if (!asked) return { symbols: [], nearest: [] };
    const known = await spellings(asked);
    if (known.has(asked)) return { symbols: known.get(asked) };
    const distances = new Map();
    const note = (spelling, symbol) => {
      const most = Math.min(distances.get(symbol) ?? 3, Math.ceil(asked.length / 2));
      const distance = editDistance(asked, spelling, most);
      if (distance < most) distances.set(symbol, distance);
    };
    for (const symbol of genes) note(symbol.toLowerCase(), symbol);
    if (/^[a-z]/.test(asked)) for (const [spelling, symbols] of known) note(spelling, symbols[0]);
    const order = [...distances].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
    return { symbols: [], nearest: order.slice(0, 5).map(([symbol]) => symbol) };
  };

  // Genes whose symbol or another spelling begins with a text: [{symbol, alias}]. First those that the text names
  // exactly, then genes with records by their symbol, then by another spelling, then genes without records.
  explorer.suggest = async (text, most) => {
    const begin = normal(text);
    if (!begin) return [];
    const options = new Map();
    for (const symbol of values.get("names").genes) {
      if (symbol.toLowerCase().startsWith(begin)) options.set(symbol, { symbol, alias: "" });
    }
    const known = await spellings(begin);
    const others = [...known].filter(([spelling]) => spelling.startsWith(begin));
    for (const [spelling, symbols] of others.sort((a, b) => a[0].length - b[0].length)) {
      for (const symbol of symbols) {
        const alias = spelling === symbol.toLowerCase() ? "" : spelling.toUpperCase();
        if (!options.has(symbol)) options.set(symbol, { symbol, alias });
      }
    }
    const exact = known.get(begin) || [];
    const rank = ({ symbol, alias }) =>
      exact.includes(symbol) || symbol.toLowerCase() === begin ? 0 : !explorer.listed(symbol) ? 3 : alias ? 2 : 1;
    return [...options.values()].sort((a, b) => rank(a) - rank(b)).slice(0, most);
  };

  // Insertions, deletions and substitutions between two texts; `most` where it is that or more.
  const editDistance = (a, b, most) => {
    if (Math.abs(a.length - b.length) >= most) return most;
    let row = Array.from({ length: b.length + 1 }, (_, j) => j);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) {
        next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      }
      if (Math.min(...next) >= most) return most;
      row = next;
    }
    return Math.min(row[b.length], most);
  };
})();
