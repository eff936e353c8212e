# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Graph neighbours beat the training mean on real screens, and leave room above them
#
# ```{admonition} Key takeaways
# :class: tip
# - Averaging the measured effects of a gene's neighbours in STRING and GO predicts its own knock-down better than the average effect of all knock-downs, in K562 and in RPE1.
# - The same averages over a graph whose gene names were shuffled gain nothing: the knowledge counts, not the averaging.
# - The union of the graphs is at least as good as either one, above all because more genes find a neighbour.
# - A twenty-step search that looks at the answer improves the neighbourhoods far more by adding genes than by removing them.
# - How a neighbourhood is cut matters less than having one; the strength of the prior matters where few neighbours measured a gene.
# ```
#
# A knowledge graph says which genes belong together: their proteins bind, or they carry the same annotations.
# If a cell fails as a hierarchy, from gene to complex to pathway, then genes that belong together fail alike, and the measured effects of the neighbours tell what an unmeasured knock-down would do {cite:p}`fawkes2026`.
# This chapter tests that on real calls: PerturbQA's record of which genes went up, down or stayed when one gene was knocked down {cite:p}`perturbqa2025`.
# A delta here is a call: +1 (up), -1 (down) or 0 (tested, no change); about 2 % of all pairs were tested, the rest are gaps.
#
# The objects, metrics and splits are defined in [Methods](../book/methods.md).
# The cell below holds every parameter of the chapter; `make book CHAPTERS=02 SET="limit=10 cut=after"` changes them.

# %% tags=["parameters"]
atlas = "perturbqa"
lines = ["k562", "rpe1"]
graph = "string+go"
split = "per-line"
limit = 20
cut = "before"
prior = 1.0
correction = "sqrt"
steps = 20
seed = 0

# %% tags=["needs-data"]
from kgpert_lib import studies, tables
from kgpert_lib.baselines import LinearBaseline, TrainingMean
from kgpert_lib.evaluation import evaluate_lines
from kgpert_lib.figures import neighbours as figures
from kgpert_lib.figures.style import style
from kgpert_lib.graphs import go, load_graphs, string
from kgpert_lib.graphs.symbols import align
from kgpert_lib.neighbours import GraphNeighbour
from kgpert_lib.sources import load_atlas

style()
screen = load_atlas(atlas, lines)
names = screen.perturbations()
graphs = load_graphs(graph, names)
union = GraphNeighbour(graphs, limit, cut, prior, seed)

# %% [markdown]
# ## Most screened genes are in the graphs, and most of those have a measured neighbour
#
# **Claim.** Both graphs know the larger part of the screen, and GO reaches genes that STRING does not.
# Names were matched after resolving aliases: the screens use older symbols than the graphs.

# %% tags=["needs-data"]
studies.coverage(screen, graphs)

# %% [markdown]
# `in graph` counts the screened genes that are nodes of the graph, `test with a neighbour` the held-out genes that an edge joins to at least one training perturbation.
# The committed STRING holds physical links of the highest confidence only, so it joins fewer genes than GO, which joins every annotated gene to those with the most similar annotations.

# %% [markdown]
# ## Graph neighbours beat the mean of all training effects
#
# **Claim.** In both lines each graph alone beats the training mean, the union is at least as good, and the linear baseline of {cite:t}`ahlmann2025` does not move away from the mean.
#
# Seven predictors see the same training perturbations:
#
# - `training mean`: the average effect of all training knock-downs, whatever the gene;
# - `linear`: 10 principal components, ridge 0.1, as published;
# - one graph each, and their union, at most `limit` genes from each graph;
# - `shuffled`: the union again, but with the names of the genes in the graph exchanged at random;
# - `weighted`: no equal vote, but GO similarity squared plus the two-step walk on STRING (ours).

# %% tags=["needs-data"]
similarity = align(go.load(keep=None, among=names), names)[0]
walk = align(string.two_step(string.load()), names)[0]
shuffled = [g.shuffled(names, seed) for g in graphs]
predictors = [
    TrainingMean(),
    LinearBaseline(seed=seed),
    GraphNeighbour(shuffled, limit, cut, prior, seed, label="shuffled"),
    *(GraphNeighbour([g], limit, cut, prior, seed) for g in graphs),
    union,
    studies.weighted(similarity, walk, prior=prior),
]
scores = evaluate_lines(screen, lines, predictors, split)
summary = tables.scores(scores, seed=seed)

# %% tags=["needs-data"]
figures.predictor_scores(summary)

# %% [markdown]
# **Figure: mean Pearson delta of seven predictors on held-out genes, PerturbQA (real), K562 and RPE1.**
# Points are means over the test perturbations of a line, bars 95 % bootstrap intervals over them, the dashed line is the training mean.
# Grey: the interval reaches down to the training mean.
# The intervals are wide because genes differ, not because methods do: the paired tests below compare methods on the same genes.

# %% tags=["needs-data"]
tables.shown(summary.drop(columns=["atlas", "kind", "split"]))

# %% [markdown]
# `fallback` counts the test perturbations without any neighbour, which get the training mean.
# Centred Pearson takes the training mean off both sides, so that only what is specific to the gene counts: the mean itself scores 0.
# In retrieval a prediction is ranked by how well it fits its own gene's measured delta among those of all test genes; 0.5 is chance.

# %% tags=["needs-data"]
tables.shown(tables.paired_tests(scores, reference="training mean", seed=seed))

# %% [markdown]
# **Table: gain in Pearson delta over the training mean, PerturbQA (real), paired over the same test perturbations.**
# Two-sided Wilcoxon signed-rank tests, Holm-corrected within a line; `n_nonzero` is the number of genes on which the two differ.
#
# What it means: knowledge adds something that is true of the gene and not of all genes, since the shuffled graphs, which average just as many effects, do not gain.

# %% [markdown]
# ### The weighted predictor was chosen on training perturbations
#
# Its two settings, how many of the most similar genes count and how much the STRING walk weighs against GO, are judged by leaving one training perturbation out at a time; test genes play no part.

# %% tags=["needs-data"]
choices = studies.weight_choices(screen, similarity, walk, limits=[20, 50, 100], scales=[10, 30])
choices.pivot(index=["line", "n", "limit"], columns="scale", values="pearson").round(4)

# %% [markdown]
# **Table: leave-one-out Pearson delta on training perturbations, PerturbQA (real), for GO limits (rows) and scales of the STRING walk (columns).**
# The book uses 50 and 30; the neighbours of that setting differ little, so the choice is a plateau and not a peak.

# %% [markdown]
# ## More measured neighbours, more gain
#
# **Claim.** The gain comes from genes that have neighbours, and does not need many of them.

# %% tags=["needs-data"]
figures.gain_by_neighbours(scores, union.name)

# %% [markdown]
# **Figure: mean gain in Pearson delta of the union of STRING and GO over the training mean, by the number of training neighbours, PerturbQA (real).**
# Bars are 95 % bootstrap intervals, n is the number of test perturbations in each group.
# Genes without a neighbour get the training mean and so gain exactly nothing.

# %% [markdown]
# ## What the graphs miss is mostly missing genes
#
# **Claim.** Starting from the graphs' neighbourhood, the best additions raise the score far more than the best removals.
#
# The search below looks at the answer: at every step it makes the one addition or removal that raises the Pearson delta of this very gene most, up to `steps` changes.
# What it reaches is a bound on what editing could do, never a prediction, and it flatters: with about 90 tested genes and more than a thousand candidates some sets fit by chance.

# %% tags=["needs-data"]
searched = studies.oracle_sets(screen, union, prior, steps, split)
reached = tables.scores(searched, ["pearson"], by=["atlas", "kind", "line", "moves"], seed=seed)
figures.oracle_gap(reached)

# %% [markdown]
# **Figure: mean Pearson delta of the graphs' union (grey) and of sets edited on the answer (orange), PerturbQA (real), test perturbations.**
# Lines on the bars are 95 % bootstrap intervals.

# %% tags=["needs-data"]
tables.shown(studies.oracle_shares(searched))

# %% [markdown]
# **Table: how the gap between the graphs' neighbourhoods and the edited sets is made up, PerturbQA (real).**
# `additions` and `removals` are the shares of the gain of both together that additions or removals reach alone; they overlap, so they need not add up to 1.
# `no signal` counts the test genes on which no tested gene changed: their correlation does not exist, they score 0 with any set, and they hold every mean down.
#
# What it means: the union of the graphs holds few genes that hurt and lacks many that would help.
# A method that edits neighbourhoods has to find genes that no edge points to.

# %% [markdown]
# ## The cut matters less than the prior
#
# **Claim.** Between 10 and 40 genes a neighbourhood scores much the same, cut before or after keeping the training genes; without a prior, genes that few neighbours measured are predicted by chance calls.
#
# `before` is the paper's order: cut the full neighbourhood to its strongest edges, then keep the training genes.
# The committed STRING has no weights, so its larger neighbourhoods are cut at random with the seed.

# %% tags=["needs-data"]
swept = studies.sweep(screen, graphs, [5, 10, 20, 40, None], ["before", "after"], [0.0, 1.0, 3.0], split, seed)
means = summary[summary["predictor"] == "training mean"].set_index("line")["pearson"]
figures.sensitivity(swept, means.to_dict())

# %% [markdown]
# **Figure: mean Pearson delta of the union of STRING and GO by the largest neighbourhood kept, the order of the cut and the prior strength, PerturbQA (real), test perturbations.**
# Bands are 95 % bootstrap intervals, dashed lines the training mean; a prior of k counts the training mean as k neighbours.

# %% [markdown]
# ## The best predicted genes sit in complexes, the worst have few or foreign neighbours
#
# **Claim.** Where the prediction is specific and right, the neighbourhood is a complex or a pathway whose members were knocked down too.
# Genes are ranked by centred Pearson delta among those with at least three neighbours and at least one call.

# %% tags=["needs-data"]
chosen = studies.extremes(scores, union.name, line=lines[0], at_least=3, top=2)
panels = [studies.panel(screen, lines[0], row, union, split) for row in chosen.itertuples()]
figures.neighbourhoods(panels, graphs[0], f"{screen.name} ({screen.kind}), {lines[0]}; grey: STRING links")

# %% [markdown]
# **Figure: neighbourhoods of the two best (top) and two worst (bottom) predicted test genes of the first line, PerturbQA (real).**
# Black: the knocked-down gene; blue: training neighbours from STRING, orange: from GO, green: from both; grey lines are STRING links.

# %% tags=["needs-data"]
tables.shown(chosen)

# %% [markdown]
# ## What to take from this chapter
#
# - A reader who asks what a knock-down would do gets a better answer from a handful of neighbours than from all other knock-downs together; `kgpert predict INTS9 --line k562` shows the neighbours and the answer.
# - Calls are not expression: magnitudes, controls and replicates are missing here, so there is no ceiling to measure the remaining gap against.
# - The room above the neighbours is there, but the search that finds it has seen the answer.
