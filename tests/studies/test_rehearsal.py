"""Curves, comparisons, what edits choose, failures and agreement of recorded runs, on a tiny simulation."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from kgpert_lib.rl.tasks import EditTasks
from kgpert_lib.studies import rehearsal, run_scores
from kgpert_lib.studies import rehearsal_edits as edits
from kgpert_lib.studies import rehearsal_figures as figures
from kgpert_lib.studies.rehearsal import TRUE
from kgpert_lib.studies.run_scores import RANDOM, TITLES, UNEDITED, RunGroup
from tests.studies.recorded import answers, drawn_screen, group, record, settings, steps

WARM, TRAINED = TITLES["warm"], TITLES["trained"]


def edit(add=(), remove=()):
    return json.dumps({"add": list(add), "remove": list(remove)})


def no_edit(*_):
    return edit()


def gold(tasks, line, gene):
    return tasks.gold(line, gene)


def empties(tasks, line, gene):
    """Removes up to three neighbours of one gene of each line; every other gene keeps its own."""
    first = next(g for g in map(str, tasks.lines[line].genes) if 1 <= len(tasks.question(line, g).neighbours) <= 3)
    return edit(remove=tasks.question(line, gene).neighbours if gene == first else ())


def drops_pathways(tasks, line, gene):
    """Removes the neighbours that only the second graph gives."""
    near = tasks.lines[line].neighbourhoods.of(gene)
    return edit(remove=[n.gene for n in near if list(n.graphs) == ["pathways"]][:3])


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    return settings(tmp_path_factory.mktemp("screen"))


@pytest.fixture(scope="module")
def learnt(training, tmp_path_factory):
    """Two seeds: gold edits in one, gold edits in the other too but for a reward curve of its own."""
    folder = tmp_path_factory.mktemp("learnt")
    for seed in (0, 1):
        stages = {"warm": answers(training, no_edit), "trained": answers(training, gold)}
        rows = steps(8, reward=lambda step, seed=seed: 0.2 + step / 10 + seed)
        record(folder, f"tiny-s{seed}", training, stages, seed, rows=rows)
    made = group(folder, "tiny")
    made.__dict__["screen"] = drawn_screen()
    return made


@pytest.fixture(scope="module")
def scores(learnt):
    return rehearsal.scores_beside_rules(learnt, ["weighted"])


def test_curves_are_rolling_means_with_the_range_over_seeds(learnt):
    drawn = rehearsal.smoothed(rehearsal.curves(learnt), window=2)
    reward = drawn[drawn["quantity"] == "reward"].set_index("step")
    assert reward.loc[1, ["least", "mean", "most"]].tolist() == pytest.approx([0.3, 0.8, 1.3])
    assert reward.loc[8, ["least", "mean", "most"]].tolist() == pytest.approx([0.95, 1.45, 1.95])
    assert set(drawn["quantity"]) == {"reward", "gap"}


def test_a_curve_ends_where_the_shortest_run_does(training, tmp_path):
    for seed, count in ((0, 3), (1, 5)):
        record(tmp_path, f"tiny-s{seed}", training, {}, seed, rows=steps(count))
    assert rehearsal.smoothed(rehearsal.curves(group(tmp_path, "tiny")))["step"].max() == 3


def test_the_ends_of_the_curves_have_the_least_and_the_most_seed(learnt):
    table = rehearsal.ends([learnt, RunGroup("none", ())], window=1).set_index("quantity")
    assert table.loc["reward", ["first", "first, least", "first, most"]].tolist() == pytest.approx([0.8, 0.3, 1.3])
    assert table.loc["reward", ["last", "last, least", "last, most"]].tolist() == pytest.approx([1.5, 1.0, 2.0])
    assert set(table["steps"]) == {8}


def test_trained_edits_are_tested_against_each_comparison_in_one_family(scores):
    table = rehearsal.compared(scores)
    assert list(table["compared with"]) == [UNEDITED, RANDOM, WARM] * 2
    wide = scores.pivot(index=["line", "perturbation"], columns="predictor", values="pearson")
    for row in table.itertuples():
        difference = (wide[TRAINED] - wide[row._5]).loc[row.line]
        assert row.gain == pytest.approx(difference.mean())
        assert row.p == pytest.approx(wilcoxon(difference.round(5), zero_method="wilcox").pvalue)
        assert row.gain_low > 0
    assert table["p_holm"].tolist() == pytest.approx(multipletests(table["p"], method="holm")[1].tolist())


def test_a_run_without_a_warm_start_is_compared_with_the_others(scores):
    table = rehearsal.compared(scores[scores["predictor"] != WARM])
    assert list(table["compared with"]) == [UNEDITED, RANDOM] * 2


def test_equal_answers_gain_nothing(training, tmp_path):
    record(tmp_path, "idle", training, {"warm": answers(training, no_edit), "trained": answers(training, no_edit)})
    table = rehearsal.compared(run_scores.scores(group(tmp_path, "idle")))
    assert table["gain"].abs().max() < 1e-12
    assert set(table["p_holm"]) == {1.0}


def test_the_share_of_the_way_is_a_ratio_of_means():
    rng = np.random.default_rng(0)
    union = rng.uniform(0.1, 0.3, 80)
    values = {UNEDITED: union, TRAINED: union + 0.1, TRUE: union + 0.4}
    tables = [
        pd.DataFrame({"perturbation": range(80), "predictor": name, "pearson": own}) for name, own in values.items()
    ]
    head = {"atlas": "simulated", "kind": "simulated", "line": "k562", "policy": "toy"}
    row = rehearsal.share_of_the_way(pd.concat(tables).assign(**head)).iloc[0]
    assert row[["share", "share_low", "share_high"]].tolist() == pytest.approx([0.25] * 3)
    without = pd.concat(tables[:2]).assign(**head)
    assert rehearsal.share_of_the_way(without).empty


def test_rules_and_the_true_graph_stand_on_the_same_genes(scores, learnt):
    table = rehearsal.beside(scores)
    per_line = table.groupby("line")["predictor"].agg(set)
    assert all({TRUE, TRAINED, UNEDITED} <= names for names in per_line)
    assert all(any(name.startswith("best rule: ") for name in names) for names in per_line)
    assert set(table["n"]) == {len(learnt.screen["k562"].names("test"))}
    for _, part in table.groupby("line"):
        assert part["pearson"].is_monotonic_decreasing
        assert part.set_index("predictor")["trained minus it"].isna().sum() == 1


def test_a_policy_that_looks_at_one_graph_is_enriched_for_it(training, tmp_path):
    record(tmp_path, "tiny", training, {"trained": answers(training, drops_pathways)})
    own = group(tmp_path, "tiny")
    own.__dict__["screen"] = drawn_screen()
    table = edits.enriched(own, fewest=3).set_index("genes that")
    assert set(table["edit"]) == {edits.REMOVED}
    pathways = table.loc["come from pathways"]
    assert pathways["share of chosen"] == 1
    assert pathways["enrichment"] == pytest.approx(1 / pathways["share of offered"])
    assert pathways["enrichment_low"] > 1
    assert table.loc["come from complexes", ["share of chosen", "enrichment"]].tolist() == [0, 0]
    near = sum(len(p.neighbours) for sets in own.draws("trained") for p in sets.by_gene.values())
    assert near == table.loc[[f"have an edge in the {third}" for third in edits.THIRDS], "offered"].sum()


def test_pairs_count_how_many_seeds_make_a_move(training, tmp_path):
    for seed, rule in enumerate((no_edit, drops_pathways)):
        record(tmp_path, f"tiny-s{seed}", training, {"trained": answers(training, rule)}, seed)
    own = group(tmp_path, "tiny")
    table = edits.pairs(own)
    removed = {
        (line, gene, other)
        for (line, gene), proposal in own.draws("trained")[1].by_gene.items()
        for other in proposal.removed
    }
    chosen = table[table["chosen"] > 0]
    assert set(zip(chosen["line"], chosen["gene"], chosen["other"], strict=True)) == removed
    assert set(chosen["chosen"]) == {0.5}
    assert not table["related"].any(), "a simulation from a folder does not know its hierarchy"


def test_the_gene_that_lost_its_neighbours_is_the_failure_and_the_reason_says_so(training, tmp_path):
    record(tmp_path, "tiny", training, {"trained": answers(training, empties)})
    own = group(tmp_path, "tiny")
    own.__dict__["screen"] = drawn_screen()
    scores = run_scores.scores(own, draws=0).pivot(
        index=["line", "perturbation"], columns="predictor", values="pearson"
    )
    loss = (scores[UNEDITED] - scores[TRAINED]).loc[lambda x: x > 0].sort_values(ascending=False)
    table = edits.failures(own)
    assert list(table["loss"]) == pytest.approx(loss.tolist())
    assert [gene.split(" ")[0] for gene in table["gene"]] == [gene for _, gene in loss.index]
    assert table["visible reason"].str.contains("no neighbours left").all()


def test_agreement_of_equal_and_of_disjoint_edits(learnt, training, tmp_path):
    equal = edits.agreement(learnt)
    assert (equal[["same edit", "overlap"]] == 1).all(axis=None)
    assert (equal["overlap of random edits"] < 1).all()

    def first(tasks, line, gene):
        return edit(remove=tasks.question(line, gene).neighbours[:1])

    def last(tasks, line, gene):
        return edit(remove=tasks.question(line, gene).neighbours[1:2])

    for seed, rule in enumerate((first, last)):
        record(tmp_path, f"tiny-s{seed}", training, {"trained": answers(training, rule)}, seed)
    own = group(tmp_path, "tiny")
    apart = edits.agreement(own).set_index("line")
    for line, genes in own.genes(["trained"]).items():
        alone = [not own.tasks("trained").question(line, gene).neighbours for gene in genes]
        assert apart.loc[line, "overlap"] == pytest.approx(np.mean(alone))


def test_one_run_agrees_with_nobody(training, tmp_path):
    record(tmp_path, "tiny", training, {"trained": answers(training, no_edit)})
    assert edits.agreement(group(tmp_path, "tiny")).empty


def test_a_move_is_worth_what_the_reward_says_of_it_alone(learnt):
    table = edits.votes(learnt)
    assert set(table["runs"]) == {2}
    tasks: EditTasks = learnt.tasks("trained")
    for row in table.head(5).itertuples():
        text = edit(add=[row.other]) if row.edit == edits.ADDED else edit(remove=[row.other])
        assert row.gap == pytest.approx(tasks.judge(row.line, row.gene, text).gap, abs=1e-9)
    by_votes = edits.gain_by_votes(learnt)
    assert by_votes["moves"].sum() == len(table)
    assert (by_votes["gap"] > 0).all()


def test_every_figure_is_drawn_or_says_that_nothing_is_recorded(learnt, scores):
    drawn = [
        figures.curves([learnt]),
        figures.gains(rehearsal.compared(scores)),
        figures.enrichment(edits.enriched(learnt, fewest=3)),
        figures.votes(edits.gain_by_votes(learnt)),
    ]
    for figure in drawn:
        assert any("atlas: " in text.get_text() for text in figure.texts)
    for figure in (
        figures.curves([]),
        *(draw(pd.DataFrame()) for draw in (figures.gains, figures.enrichment, figures.votes)),
    ):
        assert "Nothing to draw" in figure.axes[0].texts[0].get_text()
    assert not plt.get_fignums()
