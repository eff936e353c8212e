"""What a reader of the explorer does and sees, on a page opened from disk."""

import re
from urllib.parse import parse_qs, urlparse

import pytest

from tests.explorer.conftest import Reader
from tests.explorer.small_explorer import EVIL, LISTED, META, NAMES, write_explorer
from tests.file_server import FileServer

PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}
LOOK = "tests/pages/look.js"


def gene_field(tab):
    return tab.get_by_role("combobox", name="Gene", exact=True)


def asked(tab) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlparse(tab.url).query).items()}


def test_first_view_is_a_whole_gene(reader):
    tab = reader.open()
    assert tab.title().startswith("INTS9 in K562")
    assert reader.texts("h2") == ["INTS9"]
    assert "held out for test" in tab.locator(".kx-status").inner_text()
    words = tab.locator(".kx-expected").inner_text()
    assert "Expected Pearson delta 0.79; 80 % of genes with such a neighbourhood score between 0.45 and 0.97" in words
    assert "Reached 0.80 over its 93 measured readout genes" in words


def test_links_lead_to_the_gene_elsewhere(reader):
    tab = reader.open()
    links = {link.inner_text(): link.get_attribute("href") for link in tab.locator(".kx-outside").all()}
    assert links == {
        "STRING": "https://string-db.org/cgi/network?identifiers=INTS9&species=9606",
        "NCBI Gene": "https://www.ncbi.nlm.nih.gov/gene/55756",
        "Ensembl": "https://www.ensembl.org/Homo_sapiens/Gene/Summary?g=ENSG00000104299",
        "integrator complex": "https://amigo.geneontology.org/amigo/term/GO%3A0032039",
    }


def test_bars_say_how_many_neighbours_measured_and_what_was_measured(reader):
    tab = reader.open()
    rise, fall = (table.locator("tbody tr").all() for table in tab.locator(".kx-bars").all())
    cells = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in [*rise, *fall]]
    assert [[row[0], *row[2:]] for row in cells] == [
        ["BTG1", "0.98", "2", "–"],
        ["HBZ", "0.93", "0*", "1"],
        ["NPM1", "−0.96", "3", "−1"],
        ["RPS2", "−0.87", "3", "–"],
    ]
    rising, falling = (tab.locator(f".kx-bar .{name}").first.bounding_box() for name in ("kx-up", "kx-down"))
    assert rising["width"] / falling["width"] == pytest.approx(0.976 / 0.961, rel=0.02)


def test_bars_can_be_ordered_by_what_is_specific_to_the_gene(reader):
    tab = reader.open()
    order = tab.get_by_label("Order")
    order.focus()
    order.select_option("specific")
    tab.locator(".kx-bars tbody tr:first-child th", has_text="HBZ").wait_for()
    assert reader.texts(".kx-bars tbody th") == ["HBZ", "BTG1", "RPS2", "NPM1"]
    assert tab.evaluate("document.activeElement.value") == "specific"


def test_steps_name_the_neighbours_of_this_gene_by_graph(reader):
    reader.open()
    steps = reader.texts(".kx-steps li")
    assert any("4 neighbours among the 400 training genes of K562: 3 in STRING and 2 in GO" in step for step in steps)
    assert "Each of them is 25 % of the mean." in steps


@pytest.mark.parametrize("text", ["ints8", "55656", " INTS8 "])
def test_a_symbol_or_identifier_and_enter_opens_the_gene(reader, text):
    tab = reader.open()
    gene_field(tab).fill(text)
    gene_field(tab).press("Enter")
    reader.wait("INTS8 k562 union")
    assert asked(tab)["gene"] == "INTS8"


@pytest.mark.parametrize("text", ["RC74", "ENSG00000104299", "ensg00000104299.12"])
def test_an_alias_and_an_ensembl_identifier_with_its_version_open_the_gene(reader, text):
    tab = reader.open("?gene=INTS8", "INTS8 k562 union")
    gene_field(tab).fill(text)
    gene_field(tab).press("Enter")
    reader.wait("INTS9 k562 union")


def test_arrow_keys_choose_from_the_list_and_escape_closes_it(reader):
    tab = reader.open()
    field = gene_field(tab)
    field.fill("ints")
    options = tab.locator("#kx-gene-list [role=option]")
    options.first.wait_for()
    assert [text.split("\n")[0] for text in options.all_inner_texts()] == ["INTS2", "INTS4", "INTS8", "INTS9"]
    assert field.get_attribute("aria-expanded") == "true"
    field.press("Escape")
    options.first.wait_for(state="detached")
    assert field.get_attribute("aria-expanded") == "false"
    field.press("ArrowDown")
    options.first.wait_for()
    field.press("ArrowDown")
    field.press("ArrowUp")
    field.press("ArrowUp")
    active = tab.locator("[role=option][aria-selected=true]")
    assert active.inner_text() == "INTS9"
    assert field.get_attribute("aria-activedescendant") == active.get_attribute("id")
    field.press("ArrowUp")
    field.press("Enter")
    reader.wait("INTS8 k562 union")


def test_an_alias_is_offered_with_the_symbol_that_it_means(reader):
    tab = reader.open()
    gene_field(tab).fill("rc7")
    option = tab.locator("#kx-gene-list [role=option]")
    option.wait_for()
    assert option.inner_text().split() == ["INTS9", "RC74"]
    option.click()
    assert gene_field(tab).input_value() == "INTS9"


def test_a_name_of_several_genes_asks_which(reader):
    tab = reader.open()
    gene_field(tab).fill("INT")
    gene_field(tab).press("Enter")
    notice = tab.locator(".kx-notice")
    notice.get_by_role("link", name="INTS4").wait_for()
    assert notice.inner_text() == "“INT” is another name of several genes: INTS2, INTS4."
    notice.get_by_role("link", name="INTS4").click()
    reader.wait("INTS4 k562 union")


def test_an_unknown_gene_is_named_with_the_nearest_spellings(reader):
    tab = reader.open()
    gene_field(tab).fill("INTS99")
    gene_field(tab).press("Enter")
    tab.locator(".kx-notice a").first.wait_for()
    assert tab.locator(".kx-notice").inner_text().startswith("No gene is called “INTS99”; spelt alike: INTS9")
    assert reader.texts("h2") == ["INTS9"]


def test_a_gene_without_records_gets_the_command_that_predicts_it(reader):
    tab = reader.open("?gene=TTTY5", "TTTY5 k562 union")
    assert NAMES["TTTY5"] in tab.locator(".kx-title").inner_text()
    assert tab.locator(".kx-message code").inner_text() == "kgpert predict TTTY5 --line k562 --predictor union"
    assert tab.locator(".kx-bars").count() == 0


def test_a_gene_in_no_graph_is_shown_as_the_mean_of_all_knock_downs_and_markup_in_its_name_as_text(reader):
    tab = reader.open("?gene=LONE1", "LONE1 k562 union")
    assert "this is the mean of all knock-downs" in tab.locator(".kx-message").inner_text()
    assert reader.texts(".kx-bars tbody th") == ["BTG1", "HBZ", "INTS8", "NPM1", "RPS2"]
    assert "Expected Pearson delta 0.40" in tab.locator(".kx-expected").inner_text()
    assert tab.locator(".kx-name").inner_text() == EVIL
    loose = "[...document.querySelectorAll('.kx-card, .kx-column')].flatMap((e) => [...e.childNodes])"
    assert tab.evaluate(f"{loose}.every((node) => node.nodeType === Node.ELEMENT_NODE)")  # nothing for missing GO terms
    assert tab.title().startswith("LONE1 in K562")
    assert tab.locator("#kgpert-explorer").locator("script, img").count() == 0
    assert not any(link.startswith("javascript") for link in tab.evaluate("[...document.links].map((a) => a.href)"))


def test_a_gene_whose_neighbours_all_have_small_shares_says_so(reader):
    tab = reader.open("?gene=INTS2", "INTS2 k562 union")
    assert "None of the 314 neighbours of INTS2" in tab.locator(".kx-message").inner_text()
    assert tab.locator(".kx-bars tbody tr").count() == 4
    assert "Reached" not in tab.locator(".kx-expected").inner_text()


def test_markup_that_is_typed_or_in_the_address_is_text(reader):
    tab = reader.open(f"?gene={'%3Cscript%3Ealert(1)%3C%2Fscript%3E'}", " k562 union")
    assert "<script>alert(1)</script>" in tab.locator(".kx-notice").inner_text()
    gene_field(tab).fill(EVIL)
    gene_field(tab).press("Enter")
    tab.locator(".kx-notice", has_text="<img").wait_for()
    assert tab.locator("#kgpert-explorer").locator("script, img").count() == 0


def test_an_address_opens_gene_line_predictor_and_second_gene(reader):
    tab = reader.open("?gene=INTS8&line=RPE1&predictor=string&with=INTS9", "INTS8 and INTS9 rpe1 string")
    assert reader.texts("h2") == ["INTS8", "INTS9"]
    assert tab.get_by_label("Cell line").input_value() == "rpe1"
    assert tab.locator(".kx-common").inner_text() == "INTS8 and INTS9 share 1 listed neighbour: INTS4."
    left, right = (card.bounding_box() for card in tab.locator(".kx-card").all())
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]


def test_choices_change_the_address_and_the_back_button_takes_them_back(reader):
    tab = reader.open()
    tab.get_by_label("Cell line").select_option("rpe1")
    reader.wait("INTS9 rpe1 union")
    tab.get_by_role("combobox", name="Compare with").fill("INTS8")
    tab.get_by_role("combobox", name="Compare with").press("Enter")
    reader.wait("INTS9 and INTS8 rpe1 union")
    assert asked(tab) == {"gene": "INTS9", "line": "rpe1", "predictor": "union", "with": "INTS8"}
    tab.go_back()
    reader.wait("INTS9 rpe1 union")
    tab.go_back()
    reader.wait("INTS9 k562 union")
    assert tab.get_by_label("Cell line").input_value() == "k562"
    tab.go_forward()
    reader.wait("INTS9 rpe1 union")
    tab.get_by_label("Predictor").select_option("string")
    reader.wait("INTS9 rpe1 string")


def test_keyboard_and_mouse_go_to_a_neighbour_in_the_network(reader):
    tab = reader.open()
    canvas = tab.locator(".kx-canvas[data-drawn]")
    canvas.focus()
    canvas.press("ArrowRight")
    assert tab.locator(".kx-network [aria-live]").inner_text().startswith("INTS8: 25 % of the mean; STRING 0.99")
    canvas.press("Enter")
    reader.wait("INTS8 k562 union")
    assert tab.evaluate("document.activeElement.tagName") == "H2"
    tab.locator(".kx-canvas[data-drawn]").click(position={"x": 100, "y": 100})  # on no gene: stays
    place = tab.locator(".kx-canvas").bounding_box()
    tab.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] - 18)
    reader.wait("INTS9 k562 union")


def test_tables_hold_the_same_for_keyboards_and_screen_readers(reader):
    tab = reader.open()
    tab.locator(".kx-tables summary").press("Enter")
    neighbours = tab.locator(".kx-tables table").first
    rows = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in neighbours.locator("tr").all()]
    assert rows[0] == ["neighbour", "share", "STRING", "GO"]
    assert rows[1] == ["INTS8", "25 %", "0.986", "0.989"]
    assert rows[3] == ["DDX27", "25 %", "–", "edge"]
    neighbours.get_by_role("link", name="INTS8").press("Enter")
    reader.wait("INTS8 k562 union")


def test_the_library_of_the_network_is_loaded_after_the_first_view(reader):
    tab = reader.open()
    tab.locator(".kx-canvas[data-drawn]").wait_for()
    order = [url.rsplit("/", 1)[-1] for url in reader.requests]
    assert order.index("cytoscape.min.js") > max(order.index(name) for name in ("meta.js", "k562.js", "names.js"))


@pytest.mark.parametrize("reader", [{}, PHONE], indirect=True, ids=["desktop, light", "phone, dark"])
@pytest.mark.parametrize("query", ["?gene=INTS9&with=INTS8", "?gene=LONE1"])
def test_text_stands_out_and_nothing_is_wider_than_the_window(reader, request, query):
    tab = reader.open(query, "LONE1 k562 union" if "LONE1" in query else "INTS9 and INTS8 k562 union")
    tab.evaluate("document.querySelectorAll('details').forEach((e) => (e.open = true))")
    tab.evaluate("document.body.classList.add('bd-article')")
    seen = tab.evaluate((request.config.rootpath / LOOK).read_text())
    assert seen["faint"] == []
    assert seen["scroll"] <= seen["width"]
    assert seen["theme"] == ("dark" if seen["width"] == 390 else "light")


def test_a_simulated_screen_says_so_first(browser, tmp_path):
    note = "PerturbQA is not at hand; `kgpert fetch perturbqa` gets it."
    reader = Reader(browser, write_explorer(tmp_path, kind="simulated", note=note).as_uri())
    tab = reader.open()
    assert tab.locator("#kgpert-explorer > :first-child").inner_text() == f"Simulated data. {note}"
    assert "simulated" in tab.locator(".kx-foot").inner_text()
    reader.context.close()


def test_data_that_are_missing_are_named(browser, tmp_path):
    page = write_explorer(tmp_path)
    (tmp_path / "data" / "meta.js").unlink()
    tab = Reader(browser, page.as_uri()).tab
    tab.goto(page.as_uri())
    tab.locator(".kx-message", has_text="data/meta.js could not be read").wait_for()
    tab.context.close()


def test_licence_and_atlas_stand_below(reader):
    tab = reader.open()
    foot = tab.locator(".kx-foot").inner_text()
    assert foot.startswith("Data: PerturbQA's calls, real. Licences: PerturbQA: non-commercial; STRING: CC BY 4.0.")
    assert f"{len(LISTED)} genes; split {META['split']}" in foot


def test_it_works_from_a_server_below_a_path(browser, page):
    server = FileServer()
    try:
        for path in page.parent.rglob("*"):
            if path.is_file():
                server.files[f"/book/{path.relative_to(page.parent).as_posix()}"] = path.read_bytes()
        query = "?gene=INTS8"
        server.files[f"/book/index.html{query}"] = page.read_bytes()
        server.faults[f"/book/index.html{query}"] = ["page"]  # its type is then HTML
        reader = Reader(browser, f"{server.address}/book/index.html")
        tab = reader.open(query, "INTS8 k562 union")
        tab.locator(".kx-canvas[data-drawn]").wait_for(state="attached")
        assert all(url.startswith((server.address, "data:")) for url in reader.requests)
        reader.context.close()
    finally:
        server.close()


BOOK_PAGE = """<!doctype html><div class="bd-sidebar"><a href="book/explorer.html">Gene explorer</a></div>
<div class="bd-article"><table><caption>Genes in RPE1</caption>
<tr><th>INTS9</th><td>0.5</td><td>K562</td></tr>
<tr><th rowspan="2">K562</th><td>INTS8</td></tr>
<tr><td>DDX27</td></tr>
<tr><td>INTS4</td><td>INTS2 and INTS4</td><td>TTTY5</td></tr></table>
<table><caption>The same genes, simulated</caption><tr><td>SSU72</td></tr></table></div>
<script src="gene_links.js"></script>"""


def test_symbols_in_tables_link_to_the_gene_and_its_line(browser, page, request, tmp_path):
    write_explorer(tmp_path / "explorer")
    script = request.config.rootpath / "book" / "_static" / "gene_links.js"
    (tmp_path / "gene_links.js").write_text(script.read_text())
    (tmp_path / "page.html").write_text(BOOK_PAGE)
    reader = Reader(browser, (tmp_path / "page.html").as_uri())
    reader.tab.goto(reader.address)
    reader.tab.locator("td a").last.wait_for()
    links = {a.inner_text(): a.get_attribute("href") for a in reader.tab.locator("table a").all()}
    assert {symbol: re.sub(".*html", "", href) for symbol, href in links.items()} == {
        "INTS9": "?gene=INTS9&line=k562",
        "INTS8": "?gene=INTS8&line=k562",
        "DDX27": "?gene=DDX27&line=k562",
        "INTS4": "?gene=INTS4&line=rpe1",
    }
    assert all(href.startswith((tmp_path / "book" / "explorer.html").as_uri()) for href in links.values())
    assert reader.faults == []
    reader.context.close()
