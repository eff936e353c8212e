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
# # A1 · Cell lines: the gap to the ceiling in each

# %% [markdown] tags=["simulated"]
# ```{admonition} Key takeaways
# :class: tip
# - In each of four simulated lines the union of the graphs beats the {term}`training mean`; the weakest single graph does not in two of them.
# - Under the `sqrt` {term}`ceiling` the 60 % of the genes with the smallest gaps lie on average at it or above it in every line (mean gaps -.007, -.031, -.044 and -.021; ranked by that same gap), and the 60–90 % make .52 to .55 of the {term}`shortfall`.
# - {term}`Pearson delta` favours genes with large effects in every line, {term}`MSE` and {term}`MAE` those with small ones.
# ```

# %% [markdown] tags=["simulated"]
# This page repeats the figures of the [chapter on ceilings](02b_ceilings.ipynb) for K562, RPE1, HepG2 and Jurkat, as the paper's Appendix B does {cite:p}`fawkes2026`.

# %% [markdown]
# Everything here needs magnitudes, controls and replicates, so it is shown for the [simulated atlas](data-simulated) and for saved expression atlases named in `atlas`, never for PerturbQA's calls.

# %% tags=["parameters"]
atlas = "simulated"
lines = ["k562", "rpe1", "hepg2", "jurkat"]
graph = "string+go"
split = "per-line"
limit = 20
cut = "before"
correction = "sqrt"
seed = 0
size = "default"

# %% tags=["hide-input"]
from kgpert_lib.evaluation import summaries
from kgpert_lib.studies import ceilings, findings, graph_neighbours, tables
from kgpert_lib.studies import ceilings_figures as figures
from kgpert_lib.studies.style import style

style()

# %% tags=["dense", "hide-input"]
screens = ceilings.screens(atlas, lines, graph, seed, size)
tables.shown(
    ceilings.sizes(screens),
    "Size of the expression atlas, and of its graphs: median cells per perturbation, edges of each graph, and held-out genes that a graph joins to a training gene.",
)

# %% [markdown] tags=["simulated"]
# The lines share part of their biology and differ in depth, cells per perturbation, size of effects and the part of the response that all knock-downs have in common.

# %% [markdown] tags=["dense"]
# ## The union against the training mean

# %% mystnb={"figure": {"caption": "Gain in Pearson delta over the training mean on the same test genes in each line (the paper's Figure 3). Bars are 95 % bootstrap intervals, grey where they hold 0; orange is how far the mean ceiling under `correction` lies above the training mean, with its interval.", "name": "fig-lines-gains"}, "image": {"alt": "Paired gain of five predictors over the training mean, with the ceiling as an orange band, one panel for each cell line."}} tags=["dense"]
scores = ceilings.scores(screens, limit, cut, seed, split, correction)
gains = graph_neighbours.gains(scores, seed=seed)
room = ceilings.ceilings(scores, "training mean", seed)
figures.gains_under_ceiling(gains, room)

# %% tags=["dense", "hide-input"]
tables.shown(
    gains,
    "Gain in Pearson delta over the training mean, paired over test genes, with 95 % bootstrap intervals and Wilcoxon tests, Holm-corrected within a line.",
    labels={"better": "share better", "worse": "share worse"},
)

# %% tags=["dense", "hide-input"]
tables.shown(
    summaries.scores(scores, seed=seed),
    "Mean scores with 95 % bootstrap intervals over test genes.",
)

# %% tags=["dense", "hide-input"]
choices = ceilings.ceiling_choices(screens, scores)
tables.shown(
    choices,
    "Mean ceiling, mean gap of the union and share of test genes above their ceiling under each correction, with 95 % bootstrap intervals over test genes.",
    labels={"above": "share above ceiling"},
)

# %% [markdown] tags=["simulated"]
# `noise-free` is the correction that the chapter finds without bias for a perfect predictor; under it the mean gap is .17 to .20 in the four lines.

# %% [markdown] tags=["dense"]
# ## Which genes make the gap

# %% mystnb={"figure": {"caption": "Gap between the ceiling and the Pearson delta of the union, test genes sorted by it (the paper's Figure 4 i for every line). One bar is one test gene; the ceiling is the one under `correction`; percentages are shares of the shortfall, the sum of all gaps above 0.", "name": "fig-lines-gap"}, "image": {"alt": "Gap to the ceiling of every test gene, sorted and coloured in three parts with their share of the shortfall, one panel for each cell line."}} tags=["dense"]
shares = ceilings.gap_shares(scores, seed=seed)
figures.gap_by_quantile(ceilings.parts(scores), shares)

# %% tags=["dense", "hide-input"]
tables.shown(
    shares,
    "The gap by part of the genes under `correction`, with 95 % bootstrap intervals over genes.",
)

# %% tags=["dense", "hide-input"]
unbiased = ceilings.with_correction(screens, scores, "noise-free")
both = {correction: scores, "noise-free": unbiased}
what = ceilings.under_each(
    both, lambda rows: ceilings.gap_correlations(rows, seed=seed)
)
tables.shown(
    what,
    "Spearman correlation of the gap with the magnitude of the effect and with the number of neighbours, and the difference of their absolute values (below 0: the number of neighbours correlates more strongly), with 95 % bootstrap intervals over genes.",
)

# %% [markdown] tags=["dense"]
# ## Effect size, control-likeness and neighbours of well and poorly predicted genes

# %% mystnb={"figure": {"caption": "Traits of well and poorly predicted genes, ranked by Pearson delta of the union (the paper's Figures 4 ii and 11 for every line). Boxes show median and quartiles, whiskers reach to 1.5 times the distance of the quartiles (of the logarithms where the axis is logarithmic). Distance from the controls is 1 minus the correlation of the perturbed profile with its controls.", "name": "fig-lines-traits"}, "image": {"alt": "Boxes of delta magnitude, distance from the controls and number of neighbours for three parts of the test genes, one row for each cell line."}} tags=["dense"]
ranked = ceilings.parts(scores.assign(error=-scores["pearson"]), by="error")
figures.part_traits(ranked)

# %% tags=["dense", "hide-input"]
tables.shown(
    ceilings.part_traits(scores, seed=seed),
    "Means of the same, with 95 % bootstrap intervals over genes.",
)

# %% [markdown] tags=["dense"]
# ## Which genes a score favours

# %% mystnb={"figure": {"caption": "Scores of the union against delta magnitude (logarithmic), one point per test gene (the paper's Appendix B.2). Each score has one range in all lines.", "name": "fig-lines-magnitude"}, "image": {"alt": "Scatter of Pearson delta, MSE and MAE of every test gene against its delta magnitude, one column for each cell line."}} tags=["dense"]
figures.scores_against_trait(
    scores, "magnitude", ceilings.UNION, ceilings.SCORES
)

# %% mystnb={"figure": {"caption": "Scores of the union against control-likeness, one point per test gene (the paper's Appendix B.2). Each score has one range in all lines.", "name": "fig-lines-control"}, "image": {"alt": "Scatter of Pearson delta, MSE and MAE of every test gene against its control-likeness, one column for each cell line."}} tags=["dense"]
figures.scores_against_trait(
    scores, "control_likeness", ceilings.UNION, ceilings.SCORES
)

# %% mystnb={"figure": {"caption": "Spearman correlation of three scores with delta magnitude and control-likeness over test genes, with 95 % bootstrap intervals.", "name": "fig-lines-correlations"}, "image": {"alt": "Spearman correlation of three scores with delta magnitude and control-likeness, with intervals, one panel for each cell line."}} tags=["dense"]
correlations = ceilings.score_correlations(scores, seed=seed)
figures.score_correlations(correlations)

# %% tags=["dense", "hide-input"]
tables.shown(
    correlations,
    "The values of the figure, with 95 % bootstrap intervals over genes and the plain correlation.",
    labels={"pearson": "plain correlation"},
)

# %% [markdown] tags=["dense"]
# ## How good the neighbours are

# %% mystnb={"figure": {"caption": "Pearson correlation between the delta of a test gene and that of every training gene (grey) and of its neighbours (blue) (the paper's Figure 4 iii for every line). Dotted lines are the means over test genes of the best training gene and of the best neighbour.", "name": "fig-lines-neighbours"}, "image": {"alt": "Two overlaid histograms of the correlation between deltas, of test genes with all training genes and with their neighbours, one panel for each cell line."}} tags=["dense"]
pairs = ceilings.neighbour_correlations(screens, limit, cut, seed, split)
figures.neighbour_correlations(pairs)

# %% tags=["dense", "hide-input"]
tables.shown(
    ceilings.neighbour_quality(pairs, seed=seed),
    "Quality of the neighbours, means over test genes that have one; `difference`: neighbours minus all; brackets are 95 % bootstrap intervals.",
)

# %% [markdown] tags=["dense"]
# ## The paper's claims, line by line

# %% tags=["dense", "hide-input"]
tables.shown(
    findings.judged(scores, pairs, seed=seed),
    "Claims of the paper's Section 4 and Appendix B.2 in each line, with 95 % bootstrap intervals; n is the number of test perturbations behind a figure.",
)

# %% [markdown] tags=["dense"]
# What decides a claim stands in [chapter 2c](02c_claims.ipynb).
