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
# # The gap to the ceiling has the same shape in all four cell lines
#
# ```{admonition} Key takeaways
# :class: tip
# - In every simulated line the union of the graphs beats the training mean, and a minority of genes makes the gap to the ceiling.
# - HepG2 and Jurkat, with weaker effects and shallower cells, have lower ceilings, lower scores and neighbours that miss more of the best genes.
# - Pearson delta favours genes with large effects in every line, MSE and MAE those with small ones.
# ```
#
# This page repeats the figures of the [chapter on graph neighbours](02_graph_neighbours.ipynb) for K562, RPE1, HepG2 and Jurkat, as the paper's Appendix B does {cite:p}`fawkes2026`.
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

# %%
from kgpert_lib.evaluation import summaries
from kgpert_lib.studies import expression, findings
from kgpert_lib.studies import expression_figures as figures
from kgpert_lib.studies.style import style

style()

# %% tags=["dense"]
screens = expression.screens(atlas, lines, graph, seed, size)
expression.described(screens)

# %% [markdown] tags=["dense"]
# **Table: size of the expression atlas (simulated) and of its graphs.**
# The lines share part of their biology and differ in depth, cells a perturbation, size of effects and the part of the response that all knock-downs have in common.
#
# ## The union beats the training mean in every line
#
# **Claim.** The order of the predictors is the same everywhere; the distance to the ceiling is not.

# %% tags=["dense"] mystnb={"image": {"alt": "Mean Pearson delta of six predictors with intervals, the training mean dashed and the ceiling as an orange band, a panel for each of four cell lines."}}
scored = expression.evaluated(screens, limit, cut, seed, split, correction)
overall = summaries.scores(scored, seed=seed)
figures.scores_under_ceiling(overall, expression.ceilings(scored, seed=seed))

# %% [markdown] tags=["dense"]
# **Figure: mean Pearson delta of six predictors and the experimental ceiling in four lines, simulated atlas (the paper's Figure 3).**
# Points are means over test perturbations, bars 95 % bootstrap intervals, orange the mean ceiling under `correction` with its interval, dashed the training mean.

# %% tags=["dense"]
summaries.formatted(overall.drop(columns=["atlas", "kind", "split"]))

# %% [markdown] tags=["dense"]
# **Table: mean scores with 95 % bootstrap intervals over test perturbations, simulated atlas.**

# %% tags=["dense"]
summaries.formatted(expression.ceiling_choices(screens, scored))

# %% [markdown] tags=["dense"]
# **Table: mean ceiling, mean gap of the union and share of test genes above their ceiling under each correction, simulated atlas.**
# `noise-free` is the correction that the chapter finds without bias for a perfect predictor; under it the gap is large in all four lines.
#
# ## A minority of genes makes the gap
#
# **Claim.** In every line the best 60 % of the genes lie at the `sqrt` ceiling or above it.

# %% tags=["dense"] mystnb={"image": {"alt": "Gap to the ceiling of every test gene, sorted and coloured in three parts with their share of the shortfall, a panel for each of four cell lines."}}
shares = expression.gap_shares(scored, seed=seed)
figures.gap_by_quantile(expression.in_parts(scored), shares)

# %% [markdown] tags=["dense"]
# **Figure: gap between the ceiling and the Pearson delta of the union, test genes sorted by it, simulated atlas (the paper's Figure 4 i for every line).**

# %% tags=["dense"]
summaries.formatted(shares.drop(columns=["kind"]))

# %% [markdown] tags=["dense"]
# **Table: the gap by part of the genes with 95 % bootstrap intervals, simulated atlas.**
#
# ## Poorly predicted genes are weak, control-like and short of neighbours
#
# **Claim.** Magnitude, distance from the controls and number of neighbours fall together from the best to the worst predicted genes.

# %% tags=["dense"] mystnb={"image": {"alt": "Boxes of delta magnitude, distance from the controls and number of neighbours for three parts of the test genes, a row for each of four cell lines."}}
ranked = expression.in_parts(scored.assign(error=-scored["pearson"]), by="error")
figures.part_traits(ranked)

# %% [markdown] tags=["dense"]
# **Figure: traits of well and poorly predicted genes, simulated atlas (the paper's Figures 4 ii and 11 for every line).**
# Test genes are ranked by Pearson delta of the union; boxes show median and quartiles.

# %% tags=["dense"]
summaries.formatted(expression.part_traits(scored, seed=seed).drop(columns=["atlas", "kind"]))

# %% [markdown] tags=["dense"]
# **Table: means of the same with 95 % bootstrap intervals, simulated atlas.**
#
# ## The sign of a score's preference reverses in every line
#
# **Claim.** Pearson delta rises with the magnitude and so do MSE and MAE, which count errors.

# %% tags=["dense"] mystnb={"image": {"alt": "Scatter of Pearson delta, MSE and MAE of every test gene against its delta magnitude, a column for each of four cell lines."}}
figures.scores_against_trait(scored, "magnitude", expression.UNION, expression.SCORES)

# %% [markdown] tags=["dense"]
# **Figure: scores of the union against delta magnitude, one point a test gene, simulated atlas (the paper's Appendix B.2).**
# The magnitude is on a logarithmic scale; a few weak genes with a large error were given a neighbour with a strong effect.

# %% tags=["dense"] mystnb={"image": {"alt": "Scatter of Pearson delta, MSE and MAE of every test gene against its control-likeness, a column for each of four cell lines."}}
figures.scores_against_trait(scored, "control_likeness", expression.UNION, expression.SCORES)

# %% [markdown] tags=["dense"]
# **Figure: scores of the union against control-likeness, one point a test gene, simulated atlas (the paper's Appendix B.2).**

# %% tags=["dense"] mystnb={"image": {"alt": "Spearman correlation of three scores with delta magnitude and control-likeness, with intervals, a panel for each of four cell lines."}}
correlations = expression.score_correlations(scored, seed=seed)
figures.score_correlations(correlations)

# %% [markdown] tags=["dense"]
# **Figure: Spearman correlation of three scores with delta magnitude and control-likeness over test genes, with 95 % bootstrap intervals, simulated atlas.**

# %% tags=["dense"]
summaries.formatted(correlations.drop(columns=["atlas", "kind"]))

# %% [markdown] tags=["dense"]
# **Table: the same in numbers, with the plain correlation (`pearson`) beside, simulated atlas.**
#
# ## Neighbours are good on average and not the best
#
# **Claim.** Neighbours beat the average training gene in every line and miss most of the ten that resemble the gene most.

# %% tags=["dense"] mystnb={"image": {"alt": "Two overlaid histograms of the correlation between deltas, of test genes with all training genes and with their neighbours, a panel for each of four cell lines."}}
pairs = expression.neighbour_correlations(screens, limit, cut, seed, split)
figures.neighbour_correlations(pairs)

# %% [markdown] tags=["dense"]
# **Figure: Pearson correlation between the delta of a test gene and that of every training gene (grey) and of its neighbours (blue), simulated atlas (the paper's Figure 4 iii for every line).**
# Dotted lines are the means over test genes of the best training gene and of the best neighbour.

# %% tags=["dense"]
summaries.formatted(expression.neighbour_quality(pairs, seed=seed).drop(columns=["atlas", "kind"]))

# %% [markdown] tags=["dense"]
# **Table: quality of the neighbours, means over test genes that have one, brackets 95 % bootstrap intervals, simulated atlas.**
#
# ## The paper's findings, line by line
#
# **Claim.** The signs hold in all four lines, the proportions of the gap in some.

# %% tags=["dense"]
summaries.formatted(findings.compared(scored, pairs, seed=seed))

# %% [markdown] tags=["dense"]
# **Table: findings of the paper's Section 4 and Appendix B.2 and what each line shows, simulated atlas, test perturbations.**
# How agreement is judged, and what was put into the simulation, stands in the [chapter](02_graph_neighbours.ipynb).
