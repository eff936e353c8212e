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
# # 2 · Graph neighbours beat the training mean on real calls
#
# ```{admonition} Key takeaways
# :class: tip
# - Averaging the measured calls of a gene's neighbours in STRING and GO predicts its own knock-down better than the average over all knock-downs ({term}`training mean`), in each of four cell lines: by .111 [.090, .135] in {term}`Pearson delta` in K562 (n = 267 genes), .061 [.047, .077] in RPE1 (406), .077 [.060, .094] in HepG2 (278) and .100 [.080, .121] in Jurkat (313).
# - The union of the two graphs beats GO alone; it cannot be told from STRING alone in any line.
# - A graph with shuffled gene names is worse than the training mean: averaging a few effects alone does not gain.
# - Neighbours weighted by an {term}`affinity` that is learnt on training genes gain .151 [.127, .178] in K562, .076 [.060, .095] in RPE1, .092 [.074, .112] in HepG2 and .115 [.093, .139] in Jurkat ([chapter 2e](02e_knowledge.ipynb)).
# - Most of the gain comes from genes with many measured neighbours: those with 11 or more are 45 to 56 % of the genes of a line and hold 65 to 84 % of its gain.
# - Filling the gaps of the training deltas adds .028 [.011, .045] to the union in K562 and costs .0081 [.0003, .0162] in RPE1; in HepG2 and Jurkat the interval holds 0.
# ```
#
# A knowledge graph says which genes belong together: their proteins bind, or they carry the same annotations.
# If a cell fails as a hierarchy, from gene to complex to pathway, then genes that belong together fail alike, and the measured effects of the neighbours say what an unmeasured knock-down would do {cite:p}`fawkes2026`.
#
# This chapter asks whether that is so in cells, on PerturbQA's record of which genes went up, down or stayed when one gene was knocked down {cite:p}`perturbqa2025`.
# What such a record cannot show, how far a prediction is from the best possible one, is asked on simulated expression in [the next chapter](02b_ceilings.ipynb).
#
# The objects, metrics and splits are defined in [Methods](../book/methods.md).
# The cell below holds every parameter of the chapter; `make book CHAPTERS=02 SET="limit=10 cut=after"` changes them.

# %% tags=["parameters"]
lines = ["k562", "rpe1", "hepg2", "jurkat"]
graph = "string+go"
split = "per-line"
limit = 20
cut = "before"
prior = 1.0
seed = 0

# %% tags=["hide-input"]
from dataclasses import replace

from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.predictors.named import Options, build
from kgpert_lib.screens.load import load_screen
from kgpert_lib.studies import graph_neighbours, tables
from kgpert_lib.studies import graph_neighbours_figures as figures
from kgpert_lib.studies.style import style

style()

# %% [markdown] tags=["needs-data"]
# ## What was measured: calls with gaps
#
# A delta here is a call: +1 (up), -1 (down) or 0 (tested, no change).
# About 2 % of all pairs were tested; the rest are gaps.
# Which pairs were tested depends on their answers: counting how many of a gene's neighbours were *asked* about a readout gene, without reading an answer, reaches an {term}`AUROC` of .59 to .61 in saying which readout genes change ([how PerturbQA was sampled](data-sampling)).
# There are no magnitudes, no controls and no repeated experiments.

# %% mystnb={"figure": {"caption": "Left: calls of 45 training and 15 test genes (rows) on 120 readout genes, drawn at random from K562, PerturbQA (real); orange up, blue down, grey tested without change, white not tested. Predictors see the rows above the black line only. Right: number of genes knocked down in the training (grey) and the test part (green) of each line.", "name": "fig-matrix-of-calls"}, "image": {"alt": "Left a mostly white matrix with a few grey, orange and blue cells, cut by a line into training genes above and test genes below. Right four bars, one for each cell line, split into training and test genes."}} tags=["needs-data"]
screen = load_screen("perturbqa", lines, graph)
options = Options(limit, cut, prior, seed)
union = build("union", screen, options)
coverage = graph_neighbours.coverage(screen.atlas, screen.graphs)
sample = graph_neighbours.sample_of_calls(screen[lines[0]], seed=seed)
figures.matrix_of_calls(sample, coverage, "a sample of the calls in K562")

# %% tags=["needs-data", "hide-input"]
tables.shown(
    coverage,
    "What the graphs know of the screen, PerturbQA (real). `in graph`: genes knocked down that are nodes of the graph; `test with a neighbour`: held-out genes that an edge joins to at least one training gene.",
)

# %% [markdown] tags=["needs-data"]
# Each graph knows 92 to 95 % of the genes of a line, and joins 83 to 95 % of the test genes to a training gene, GO more of them than STRING.
# Names were matched after resolving aliases: the screens use older symbols than the graphs.
# STRING is version 11.0 of 2019, links with a combined score of 800 or more; GO is that of August 2021, and joins every annotated gene to those with the most similar annotations ([the tables](data-graphs)).
# Both are older than the publication of the screens.
# Tables of 2022 and 2023 in their place change the score of the union by -.015 [-.029, -.003] in K562, -.002 [-.012, .005] in RPE1, .004 [-.006, .016] in HepG2 and -.013 [-.023, -.004] in Jurkat ([chapter 2d](02d_what_could_be_wrong.ipynb)).
#
# ## The method on one gene
#
# The prediction for a gene is the mean over its neighbours that measured a readout, with the training mean counted as one more neighbour (the prior, of {term}`prior strength` 1).
# The gene below is the one of median gain among the test genes of the first line that have 6 to 12 neighbours: neither a success nor a failure.

# %% mystnb={"figure": {"caption": "One prediction, PerturbQA (real), K562: the calls of the training neighbours (rows above), their mean with the prior, and what was measured for the gene itself (rows below), for the 24 of its tested readouts that most neighbours measured. Orange up, blue down, grey no change, white not tested; paler colours of the mean are values between.", "name": "fig-one-prediction"}, "image": {"alt": "A grid of coloured cells: one row for each training neighbour, mostly white, and below it the predicted and the measured row of the gene."}} tags=["needs-data"]
graphs = [graph.name for graph in screen.graphs]
names = ["mean", "linear", "shuffled", *graphs, "union"]
names += ["weighted", "weighted-filled"]
predictors = [build(name, screen, options) for name in names]
scores = evaluate_lines(screen.atlas, lines, predictors, split)
gene = graph_neighbours.typical(scores, union.name, lines[0])
calls = graph_neighbours.calls_of_neighbours(
    screen.atlas, lines[0], gene, union
)
figures.one_prediction(calls, gene, lines[0])

# %% [markdown] tags=["needs-data"]
# ## Graph neighbours beat the mean of all training effects
#
# **Claim.** In each of four lines each graph alone beats the training mean, and their union beats GO alone; no line tells it from STRING alone.
#
# Eight predictors see the same training genes:
#
# - `training mean`: the average effect of all training knock-downs, whatever the gene;
# - `linear`: the baseline of {cite:t}`ahlmann2025`, 10 {term}`principal components <principal component>`, ridge 0.1, as published;
# - one graph each (`string`, `go`), and their union (`string+go`): at most `limit` genes from each graph, those of the strongest edges, with one vote each;
# - `shuffled`: the union again, but with the names of the genes in the graph exchanged at random;
# - `weighted`: no equal votes; every training gene counts by its {term}`affinity` to the test gene, a sum over thirteen dated tables of knowledge whose weights are learnt on training genes ([formula](methods-affinity), ours);
# - `weighted, filled`: the same, and what a {term}`low-rank model` puts into the gaps of the training deltas counts too, at a weight of its own ([formula](methods-pooled), ours).
#
# [Chapter 2e](02e_knowledge.ipynb) explains the last two.

# %% mystnb={"figure": {"caption": "Gain in Pearson delta over the training mean on the same held-out genes, PerturbQA (real). Points are mean differences, bars 95 % bootstrap intervals over test genes; grey where the interval holds 0; all panels have one range.", "name": "fig-gains"}, "image": {"alt": "Paired gain of seven predictors over the training mean, one panel for each of four cell lines. Single graphs, union and the two weighted predictors lie right of zero, linear at zero, shuffled left of it."}} tags=["needs-data"]
gains = graph_neighbours.gains(scores, seed=seed)
figures.paired_gains(gains)

# %% tags=["needs-data", "hide-input"]
SHARES = {"better": "share better", "worse": "share worse"}
tables.shown(
    gains,
    "Gain in Pearson delta over the training mean, PerturbQA (real), paired over test genes. `share better` and `share worse`: genes predicted better or worse than by the mean. Two-sided Wilcoxon signed-rank tests, Holm-corrected within a line.",
    labels=SHARES,
)

# %% [markdown] tags=["needs-data"]
# The union is better than the training mean for 62 to 70 % of the genes of a line and worse for 16 to 26 %; the rest are ties, mostly the 25 test genes of each line without any change, whose score is 0 whatever is predicted, and genes without a neighbour.
# `linear` moves by .001 or less on average; in K562 and RPE1 the test is significant all the same, because it is a little better for more genes than it is worse for.
# One shuffle of the names, after which as many effects are averaged, loses .018 to .039, with intervals below 0 in every line: the gain does not come from averaging alone.
# The shuffle gives a gene another gene's number of neighbours too, so it does not separate who the neighbours are from how many there are.
#
# The same test against the union says what a second graph adds:

# %% tags=["needs-data", "hide-input"]
single = scores[scores["predictor"].isin([union.name, *graphs])]
against_union = graph_neighbours.gains(single, reference=union.name, seed=seed)
tables.shown(
    against_union,
    "Each single graph against the union of both, PerturbQA (real), as above: negative is worse than the union.",
    labels=SHARES,
)

# %% tags=["needs-data", "hide-input"]
summary = summaries.scores(scores, seed=seed)
tables.shown(
    summary,
    "Mean scores with 95 % bootstrap intervals over test genes, PerturbQA (real). Intervals are wide because genes differ; the paired tests above compare methods on the same genes.",
)

# %% [markdown] tags=["needs-data"]
# The union is .019 to .036 above GO alone, with intervals above 0 in every line.
# It is .001 to .006 above STRING alone, and all four intervals hold 0.
# `weighted` is above the union by .040 [.027, .056] in K562, .015 [.010, .021] in RPE1, .016 [.007, .026] in HepG2 and .015 [.005, .025] in Jurkat, and with filled gaps by .056 [.040, .076], .019 [.012, .026], .025 [.014, .039] and .022 [.009, .035] ([chapter 2e](02e_knowledge.ipynb)).
#
# Genes without any neighbour get the training mean; the affinity reaches every gene.
# {term}`Centred Pearson <centred Pearson>` takes the training mean off both sides, so that only what is specific to the gene counts: the mean itself scores 0.
# In {term}`retrieval` a prediction is ranked by how well it fits its own gene's measured delta among those of all test genes; 0.5 is chance.
#
# The metrics by which the field compares methods in 2026 ([formulas](methods-metrics)) look at other sides of a prediction: who is who ({term}`PDS`), the signs of the readouts that changed, and which readouts change at all.

# %% tags=["needs-data", "hide-input"]
tables.shown(
    summaries.further(scores, seed=seed),
    "Further scores, PerturbQA (real), means with 95 % bootstrap intervals over test genes: PDS by cosine, direction fidelity, direction reach, and the Jaccard index of the sets of changed readouts.",
)

# %% [markdown] tags=["needs-data"]
# In each line the mean of the union is above that of the training mean in all of them, and that of `weighted` above the union's.
# Filling adds to `weighted` in PDS and direction reach and takes from it in direction fidelity and in the Jaccard index; these are means without a paired test.
# The {term}`Vendi score`, the effective number of different deltas, says little on calls and is shown for [expression](A3_compare.ipynb) only: each gene is judged on other readouts, so that even the training mean counts as 69 to 108 different deltas.
#
# Two limits of these numbers.
# A test gene has 12 to 13 changed readout genes on average ([data](data-blind-spots)), so that a Pearson correlation rests on few entries.
# And test genes of one complex are not independent: intervals that resample genes one by one are too short for a claim about new complexes.
#
# ## Most of the gain comes from genes with many measured neighbours
#
# **Claim.** Genes with 11 or more measured neighbours, 56 % (K562), 49 % (RPE1), 46 % (HepG2) and 45 % (Jurkat) of the genes, hold 84, 65, 72 and 74 % of the gain.

# %% mystnb={"figure": {"caption": "Mean gain in Pearson delta of the union over the training mean by number of training neighbours, PerturbQA (real). Bars are 95 % bootstrap intervals; below each group its number of test genes and its share of the line's whole gain.", "name": "fig-gain-by-neighbours"}, "image": {"alt": "Mean gain by number of training neighbours, one panel for each of four cell lines. Genes without a neighbour gain nothing; the groups with many neighbours gain most."}} tags=["needs-data"]
by_neighbours = graph_neighbours.gain_by_neighbours(
    scores, union.name, seed=seed
)
figures.gain_by_neighbours(by_neighbours)

# %% tags=["needs-data", "hide-input"]
tables.shown(
    by_neighbours,
    "The values of the figure, PerturbQA (real), with 95 % bootstrap intervals over test genes.",
)

# %% [markdown] tags=["needs-data"]
# Genes without a neighbour get the training mean and gain exactly nothing.
# Up to five neighbours some intervals hold 0; from 6 on all are above 0, in every line.
#
# Whether other training genes would predict better, and how little the size of a neighbourhood matters, is asked in [chapter 2d](02d_what_could_be_wrong.ipynb), with the objections to these results: families, complexes, dated knowledge and genes that are not independent.
#
# ## Filling the gaps helps in one line of four
#
# Only two of a hundred pairs were tested, so most of a neighbour's delta is missing.
# A {term}`low-rank model` of the training deltas fills the gaps before they are averaged; no test delta enters ([Methods](methods-filled)).
# Its number of rounds and $\rho$ are the best of those compared on training perturbations; its rank and $\kappa$ are defaults that were not tuned ([settings](methods-filled-settings)).
# Beside the union stand the training genes most similar in GO, 5, 10 or 20 of them.

# %% tags=["needs-data", "hide-input"]
sizes = [replace(options, limit=k) for k in (5, 10, 20)]
predictors = [
    union,
    *(build("similar", screen, size) for size in sizes),
    build("filled", screen, options),
    *(build("similar-filled", screen, size) for size in sizes),
]
completed = evaluate_lines(screen.atlas, lines, predictors, split)
filled = graph_neighbours.gains(completed, reference=union.name, seed=seed)
tables.shown(
    filled,
    "Gain in Pearson delta over the union without filling, PerturbQA (real), paired over test genes, with 95 % bootstrap intervals and Wilcoxon tests, Holm-corrected within a line.",
    labels=SHARES,
)

# %% [markdown] tags=["needs-data"]
# In K562 filling lifts the union by .028 [.011, .045].
# In RPE1 it costs .0081 [.0003, .0162], an interval that ends just below 0; in HepG2 (.005 [-.006, .015]) and Jurkat (-.006 [-.023, .007]) the interval holds 0.
# The genes most similar in GO are .023 to .049 below the union in every line, with intervals below 0; filled, they are still below it, except that with ten of them in HepG2 the interval holds 0.
# The tests weigh ranks, so that a large p can stand beside an interval without 0.
#
# Here a filled value counts like a measured one.
# Where it has a weight of its own, as in `weighted, filled` above, [chapter 2e](02e_knowledge.ipynb) says what filling adds.
#
# ## Four neighbourhoods
#
# The two best and the two worst predicted genes of the first line, by centred Pearson delta, among those with at least three neighbours and at least one changed readout gene.
# Four genes are examples, not a rule.

# %% mystnb={"figure": {"caption": "Neighbourhoods of the two best (top) and two worst (bottom) predicted test genes, PerturbQA (real), K562; n is the number of tested readout genes. Black: the gene knocked down; blue: training neighbours from STRING, orange: from GO, green: from both; grey lines are STRING links.", "name": "fig-neighbourhoods"}, "image": {"alt": "Four drawings of a gene with its training neighbours on a circle, coloured by the graph that gave them."}} tags=["needs-data"]
extremes = graph_neighbours.extremes(
    scores, union.name, line=lines[0], at_least=3, top=2
)
panels = [
    graph_neighbours.panel(screen.atlas, lines[0], row, union, split)
    for row in extremes.itertuples()
]
figures.neighbourhoods(
    panels,
    screen.graphs[0],
    f"{screen.name} ({screen.kind})",
    lines[0],
)

# %% tags=["needs-data", "hide-input"]
tables.shown(extremes, "The four genes of the figure, PerturbQA (real).")

# %% [markdown] tags=["needs-data"]
# MRPL27 is a subunit of the mitochondrial ribosome, and all of its 23 neighbours are other subunits.
# MBTPS1 cuts the proteins that switch on the making of sterols; of its four neighbours MBTPS2 makes the second cut, SCAP carries these proteins to both, SREBF2 is one of them, and only CLPP, by GO alone, is a protease of another place.
# Among the worst, STARD7 has three neighbours, all by GO alone, which in 2021 knows only that it is in the outer membrane of the mitochondrion; two of the three are subunits of the mitochondrial ribosome.
# PTBP1 has the neighbours that a biologist would name, most of them other RNA-binding proteins, and is still predicted badly.

# %% [markdown]
# ## What to take from this chapter
#
# - A reader who asks what a knock-down would do gets a better answer from the neighbours than from all knock-downs together, above all for genes with many measured neighbours; `kgpert predict INTS9 --line k562` shows the neighbours and the answer.
# - STRING and GO together beat GO alone and cannot be told from STRING alone; what further tables add, and at which weights, is in [chapter 2e](02e_knowledge.ipynb).
# - On these calls, a few hundredths can be shown to be left for editing neighbourhoods ([chapter 2d](02d_what_could_be_wrong.ipynb)); [the next chapter](02b_ceilings.ipynb) asks how far the graphs are from the best possible where that can be known.
