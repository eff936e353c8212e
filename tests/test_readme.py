"""The README's example runs as it is printed."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.needs_mirror
def test_the_example_predicts_a_test_gene_and_shows_tables(mirror, capsys):
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(example, names)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["gene", "predicted", "specific", "neighbours_measured", "measured"]
    assert len(rows) == 6
    explanation = names["explanation"]
    assert (explanation.gene, explanation.status) == ("INTS9", "test")
    assert all(row[1] in explanation._repr_html_() for row in rows[1:])
