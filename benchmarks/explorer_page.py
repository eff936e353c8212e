"""How fast the explorer's page answers, in milliseconds on this machine: python benchmarks/explorer_page.py [PAGE].

PAGE is a file, by default that of the rendered book. Printed are medians and the slowest over `STARTS` browsers: of the
first view, of the first network drawn, and of each of `GENES` asked for in each browser.
"""

import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from kgpert_lib.book import pdf

PAGE = Path(__file__).parents[1] / "_build/html/book/explorer.html"
STARTS = 5
GENES = ("RPS3", "PSMA1", "GATA1", "POLR2B", "EIF3A")
WATCH = """(() => {
  window.times = [];
  let shown;
  new MutationObserver(() => {
    const now = document.getElementById("kgpert-explorer")?.dataset.shown;
    if (now && now !== shown) times.push(performance.now());
    shown = now || shown;
    if (document.querySelector(".kx-canvas[data-drawn]")) window.drawn ??= performance.now();
  }).observe(document, { subtree: true, childList: true, attributes: true });
})()"""
ASK = """async (gene) => {
  const start = performance.now(), seen = times.length, input = document.getElementById("kx-gene");
  input.focus();
  input.value = gene;
  input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  while (times.length === seen) await new Promise((resolve) => setTimeout(resolve, 2));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - start;
}"""


def main() -> None:
    address = Path(sys.argv[1] if len(sys.argv) > 1 else PAGE).resolve().as_uri()
    times: dict[str, list[float]] = {"first view": [], "first network": [], "a gene": []}
    with sync_playwright() as playwright:
        for _ in range(STARTS):
            arguments = ["--no-sandbox", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=pdf.chromium(), args=arguments)
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.add_init_script(WATCH)
            tab.goto(address)
            tab.wait_for_selector(".kx-canvas[data-drawn]")
            times["first view"].append(tab.evaluate("times[0]"))
            times["first network"].append(tab.evaluate("drawn"))
            times["a gene"] += [tab.evaluate(ASK, gene) for gene in GENES]
            browser.close()
    for what, values in times.items():
        print(f"{what}: {statistics.median(values):.0f} ms, slowest of {len(values)} {max(values):.0f} ms")


if __name__ == "__main__":
    main()
