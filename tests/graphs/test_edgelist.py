"""Any table of gene pairs becomes a graph; rows that cannot be used are told."""

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import GRAPHS, edgelist, graph_names, load_graphs


@pytest.fixture
def table(tmp_path):
    def write(text, name="mine.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "A,B,0.5\nA,C,2\n",
        "A\tB\t0.5\nA\tC\t2\n",
        "A;B;0.5\r\nA;C;2\r\n",
        "A B 0.5\nA  C 2\n",
        "\ufeffgene1,gene2,weight\nA,B,0.5\nA,C,2\n",
        '"gene1","gene2","weight"\n"A","B","0.5"\n"A","C","2"\n',
        "score,kind,Gene A,Gene B\n0.5,x,A,B\n2,x,A,C\n",
        "source\tkind\ttarget\tconfidence\nA\tx\tB\t0.5\nA\tx\tC\t2\n",
        "# a comment, with commas\n\nleft,right,how much\nA , B,0.5\n\nA,C,2\n",
        "A,B,0.5\nC,A,1.5\nA,C,2\nC,A,2\n",
    ],
)
def test_layouts_that_mean_the_same(table, text):
    graph, report = edgelist.read(table(text))
    assert graph.weighted
    assert graph.name == "mine"
    assert graph.neighbours("A") == {"C": 2.0, "B": 0.5}
    assert report.rejected == 0


@pytest.mark.parametrize(
    "text", ["A,B\nB,C\n", "source,target\nA,B\nB,C\n", "A,B,physical\nB,C,genetic\n", "from\tto\nA\tB\nB\tC\n"]
)
def test_without_a_weight_column_the_graph_is_unweighted(table, text):
    graph, report = edgelist.read(table(text, "mine.tsv"), name="own")
    assert not graph.weighted
    assert set(graph.symbols) == {"A", "B", "C"}
    assert (graph.name, report.used) == ("own", 2)


def test_bad_rows_are_counted_and_the_first_three_shown(table):
    path = table("gene1,gene2,weight\nA,B,1\n,C,1\nD,D,1\nA,C,high\nA,D,-2\nA,E,inf\nA,F,nan\nA,G,0\nA\nA,H,0.5\n")
    graph, report = edgelist.read(path)
    assert set(graph.neighbours("A")) == {"B", "H"}
    assert (report.used, report.rejected) == (2, 8)
    assert report.examples == (
        "line 3: a gene is missing",
        "line 4: D is paired with itself",
        "line 5: the weight 'high' is not a number",
    )
    assert str(report).endswith("2 rows used, 8 left out (" + "; ".join(report.examples) + "; and 5 more).")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("GENE1\nGENE2\n", "one column only"),
        ("gene1,gene2\n", "a header only"),
        ("A,A\nB,B\n", "No row of the edge list can be used.*line 1: A is paired with itself"),
    ],
)
def test_a_file_without_a_usable_row_is_one_sentence(table, text, message):
    with pytest.raises(InputError, match=message):
        edgelist.read(table(text))


def test_a_cell_longer_than_any_name_is_one_sentence(table):
    with pytest.raises(InputError, match=r"line 2: field larger than field limit \(131072\); an edge list has short"):
        edgelist.read(table("A,B\n" + "A" * 140_000 + ",B\n"))


def test_a_file_that_is_missing_or_no_text_is_one_sentence(table, tmp_path):
    with pytest.raises(InputError, match="There is no edge list"):
        edgelist.read(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read as a text table"):
        edgelist.read(table("gène,B\n", encoding="utf-16"))


def test_graphs_are_loaded_by_name_and_by_path(table):
    own = table("INTS9,MYGENE\nINTS9,INTS9\n")
    with pytest.warns(UserWarning, match="1 rows used, 1 left out"):
        graphs = load_graphs(f"string+{own}")
    assert [graph.name for graph in graphs] == ["string", "mine"]
    assert set(list(graphs[0].neighbours("INTS9"))[:2]) <= {f"INTS{k}" for k in range(1, 15)}
    assert graphs[1].neighbours("INTS9") == {"MYGENE": 1.0}


def test_a_blank_around_a_name_changes_nothing():
    spec = " string + string-v12 "
    assert [graph.name for graph in load_graphs(spec)] == graph_names(spec) == ["string", "string-v12"]


@pytest.mark.parametrize("spec", ["strings", "string+", "", "string+gone"])
def test_an_unknown_graph_is_answered_with_the_known_ones(spec):
    with pytest.raises(InputError, match=f"choose from {', '.join(GRAPHS)} or give the path"):
        load_graphs(spec)


def test_a_graph_named_twice_is_refused(table, tmp_path):
    with pytest.raises(InputError, match="'string' is named more than once"):
        load_graphs("string+string")
    (tmp_path / "other").mkdir()
    one, two = table("A,B\n"), table("A,B\n", "other/mine.tsv")
    with pytest.raises(InputError, match="both called 'mine'"):
        load_graphs(f"{one}+{two}")
