"""A rendered book of three small pages, as `kgpert book` leaves it, written by hand for tests of its print."""

import shutil
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TOC = {
    "format": "jb-book",
    "root": "book/index",
    "parts": [
        {"caption": "Chapters", "chapters": [{"file": "notebooks/01_first"}, {"file": "book/not_rendered"}]},
        {"caption": "Reference", "chapters": [{"file": "book/explorer"}, {"file": "book/data"}]},
    ],
}
PAGE = """<!DOCTYPE html><html><head>
<link rel="stylesheet" href="../_static/kgpert.css?v=1"/>
<script src="../_static/kgpert.js"></script>
</head><body><nav><a href="../search.html">Search</a></nav>
<article class="bd-article"><section id="top">{}</section></article></body></html>"""
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'
WIDE = "".join(f"<td>{10**12 + k}</td>" for k in range(60))
PAGES = {
    "book/index": """<h1>A small book<a class="headerlink" href="#top">#</a></h1>
        <p><a href="../notebooks/01_first.html#result">the result</a>,
        <a href="../notebooks/01_first.html">chapter 1</a>,
        <a href="explorer.html?gene=INTS9">the explorer</a>, <a href="../numbers/table.csv">its numbers</a> and
        <a href="https://example.org/a#b">a page of the web</a></p><section id="result"><h2>Result</h2></section>""",
    "notebooks/01_first": """<h1>1 · First</h1>
        <details class="admonition hide above-input"><pre>hidden_code()</pre></details>
        <details class="sd-dropdown"><summary>More</summary>what was folded</details>
        <section id="result"><h2>What was measured</h2>
        <style>#T_1 th.col0 {color: #abc}</style><div class="output"><table class="dataframe" id="T_1"><tbody>
        <tr><td>wide</td>""" + WIDE + """</tr></tbody></table></div>
        <figure id="fig"><img src="../_images/picture.svg" alt="A bar"/>
        <figcaption><span class="caption-number">Fig. 1 </span>A bar.</figcaption></figure></section>
        <p><a href="#result">above</a></p>""",
    "book/explorer": "<h1>Explorer</h1><p>only on a screen</p>",
    "book/data": """<h1>Data</h1><p><a href="../book/index.html#result">the first result</a></p>""",
}  # fmt: skip


def rendered_book(root: Path) -> Path:
    """Write the book's settings and its pages below `root`; returns the folder of the pages."""
    html = root / "_build" / "html"
    (root / "_toc.yml").write_text(yaml.safe_dump(TOC, sort_keys=False))
    (root / "_config.yml").write_text("title: Knock-downs\nauthor: Two people\n")
    shutil.copytree(ROOT / "book" / "_static", html / "_static")
    (html / "_images").mkdir()
    (html / "_images" / "picture.svg").write_text(PICTURE)
    (html / ".kgpert-book.json").write_text("a digest")
    for page, article in PAGES.items():
        path = html / f"{page}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(PAGE.format(article), encoding="utf-8")
    return html
