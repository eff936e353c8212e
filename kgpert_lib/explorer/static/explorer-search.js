// A field for a gene: an editable combobox with a list, after the ARIA Authoring Practices.
(() => {
  const explorer = window.kgpertExplorer;
  const MOST = 9;

  // `pick(symbol)` is called with the gene that a reader chose, `fail(text, {symbols, nearest})` where a text names
  // none or several. Returns {box, show(symbol)}.
  explorer.geneField = ({ id, label, placeholder, optional, pick, fail }) => {
    const { element } = explorer;
    const input = element("input", {
      id,
      type: "text",
      role: "combobox",
      autocomplete: "off",
      autocapitalize: "characters",
      spellcheck: "false",
      placeholder,
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": `${id}-list`,
    });
    const list = element("ul", { id: `${id}-list`, role: "listbox", "aria-label": `${label}: choices`, hidden: "" });
    const clear = optional
      ? element("button", { type: "button", class: "kx-clear", "aria-label": "Clear" }, "×")
      : null;
    const box = element("div", { class: "kx-field kx-gene-field" }, [
      element("label", { for: id }, label),
      element("div", { class: "kx-combobox" }, [input, clear, list]),
    ]);
    let options = [];
    let active = -1;
    let current = "";
    let turn = 0;

    const close = () => {
      turn++;
      active = -1;
      options = [];
      list.hidden = true;
      list.replaceChildren();
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    };

    const show = (symbol) => {
      current = symbol || "";
      input.value = current;
      if (clear) clear.hidden = !current;
      close();
    };

    const choose = (symbol) => {
      show(symbol);
      pick(symbol);
    };

    const mark = (place) => {
      active = place;
      [...list.children].forEach((option, k) => option.setAttribute("aria-selected", String(k === active)));
      if (active < 0) {
        input.removeAttribute("aria-activedescendant");
        return;
      }
      input.setAttribute("aria-activedescendant", list.children[active].id);
      list.children[active].scrollIntoView({ block: "nearest" });
    };

    const open = async () => {
      const mine = ++turn;
      const offered = await explorer.suggest(input.value, MOST);
      if (mine !== turn) return;
      options = offered;
      active = -1;
      input.removeAttribute("aria-activedescendant");
      list.replaceChildren(
        ...options.map(({ symbol, alias }, k) =>
          element("li", { id: `${id}-${k}`, role: "option", "aria-selected": "false" }, [
            element("span", { class: "kx-symbol" }, symbol),
            alias && element("span", { class: "kx-note" }, alias),
            !explorer.listed(symbol) && element("span", { class: "kx-note" }, "not screened"),
          ]),
        ),
      );
      list.hidden = !options.length;
      input.setAttribute("aria-expanded", String(options.length > 0));
    };

    const enter = async () => {
      if (active >= 0) return choose(options[active].symbol);
      const text = input.value.trim();
      close();
      if (!text) return optional ? choose("") : show(current);
      const resolved = await explorer.resolve(text);
      if (resolved.symbols.length === 1) return choose(resolved.symbols[0]);
      return fail(text, resolved);
    };

    input.addEventListener("input", open);
    input.addEventListener("focus", () => input.select());
    input.addEventListener("blur", close);
    input.addEventListener("keydown", async (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        if (list.hidden) await open();
        if (!options.length) return;
        const from = active < 0 && step < 0 ? 0 : active;
        mark((from + step + options.length) % options.length);
      } else if (event.key === "Enter") {
        event.preventDefault();
        await enter();
      } else if (event.key === "Escape") {
        if (list.hidden) show(current);
        else close();
      }
    });
    list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) choose(options[[...list.children].indexOf(option)].symbol);
    });
    if (clear)
      clear.addEventListener("click", () => {
        choose("");
        input.focus();
      });
    return { box, show };
  };
})();
