"""What a model wrote is shown on a page as text, whatever it wrote."""

import pytest

from kgpert_lib.llm.proposals import Proposal
from kgpert_lib.studies.langpert import quotations

pytestmark = pytest.mark.needs_chromium
EVIL = (
    "<script>document.title = 'broken'</script><img src=x onerror=\"document.title = 'broken'\">"
    "</code></td></table><h1>broken</h1>"
)


def test_markup_in_an_answer_is_shown_and_does_nothing(browser, tmp_path):
    proposal = Proposal(EVIL, "k562", (), added=(EVIL,), answered=True, text=EVIL)
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>whole</title>{quotations([proposal])}", encoding="utf-8")
    tab = browser.new_page()
    tab.goto(page.as_uri(), wait_until="load")
    assert tab.title() == "whole"
    assert tab.locator("script, img, h1").count() == 0
    assert tab.locator("tbody td").all_inner_texts() == [EVIL] * 3
    tab.close()
