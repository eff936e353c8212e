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
# # A3 · Compare your method: predictions from a file, scored like the book's

# %% [markdown] tags=["simulated"]
# ```{admonition} Key takeaways
# :class: tip
# - A file with predicted deltas is scored by the same function as the book's own predictors, on the same perturbations and readouts.
# - The toy method of this page is worse than the {term}`training mean` in both simulated lines: by .042 [.033, .052] in {term}`Pearson delta` in K562 and by .036 [.030, .042] in RPE1 (n = 150 genes each); its PDS of .496 [.451, .543] and .501 [.455, .547] is chance.
# - The training mean has no skill in centred Pearson, retrieval and PDS, by construction; it reaches .785 [.732, .832] in direction reach in K562 and .899 [.854, .933] in RPE1, because knock-downs move many readouts the same way.
# - The predictions of the training mean are one delta, those of the union 6.8 and 5.1 different ones, and the measured deltas 46 and 32 (Vendi score, K562 and RPE1).
# ```

# %% [markdown]
# This page writes a file of predictions with a toy method, scores it, and says how each column reads.
# The metrics are defined in [Methods](methods-metrics).

# %% tags=["parameters"]
atlas = "simulated"
lines = ["k562", "rpe1"]
graph = "string+go"
split = "strict"
limit = 20
cut = "before"
k = 10
seed = 0
size = "default"

# %% tags=["hide-input"]
from tempfile import TemporaryDirectory

from kgpert_lib.evaluation import replicates, summaries
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.predictors.named import Options, build, of_graphs
from kgpert_lib.studies import ceilings, compare, graph_neighbours, tables

# %% [markdown]
# ## The file: one row for each test perturbation
#
# The toy method knows no graph: it averages the deltas of the `k` training genes whose own expression responds most like that of the queried gene.
# Any program may write such a file, in one of three formats:
#
# | Ending | Content |
# |---|---|
# | `.h5ad` | `X` the predicted deltas, `obs_names` the perturbations, `var_names` the readout genes |
# | `.npz` | the arrays `perturbations`, `genes` and `delta` |
# | `.csv` | a column `perturbation`, and one column for each readout gene |
#
# Every test perturbation and every readout gene of the line has to be there, in any order, with a finite number; further rows and columns are ignored.
# The numbers are {term}`deltas <delta>`, differences from the control, and nothing else is taken from the file: the controls, the measured deltas and the split are those of the {term}`atlas`.
# What the file says of a perturbation's own readout counts nowhere.

# %% tags=["dense"]
screen = ceilings.screens(atlas, lines, graph, seed, size)[0]
names = ["mean", "linear", *of_graphs(screen)]
options = Options(limit, cut, seed=seed)
predictors = [build(name, screen, options) for name in names]
with TemporaryDirectory() as folder:
    files = compare.write_predictions(screen.atlas, folder, k, split)
    scores = evaluate_lines(screen.atlas, lines, predictors, split, files)
    repeated = replicates.replicated_lines(screen, predictors, split, files)

# %% [markdown] tags=["dense"]
# ## Three scores that the book reports everywhere
#
# - **Pearson delta**: correlation of predicted and measured delta over the readout genes; 1 is best, and the effect that all knock-downs share scores high by itself.
# - **Centred Pearson delta**: the same after the training mean was subtracted from both sides; the training mean scores 0.
# - **Retrieval**: share of the other test perturbations whose measured delta the prediction is less like than its own; .5 is chance.
#
# `given the training mean` counts perturbations that got the training mean because they have no neighbour; a file cannot say so, and has 0.

# %% tags=["dense", "hide-input"]
tables.shown(
    summaries.scores(scores, seed=seed),
    "Scores of the toy method (`co-response`, read from a file) and of the book's predictors; means over test perturbations with 95 % bootstrap intervals.",
)

# %% [markdown] tags=["dense"]
# ## Five more, and whether predictions are all alike
#
# A readout counts as changed where its delta, measured or predicted, is at least four robust standard deviations of the training deltas (`threshold`, or `--changed` of the command).
#
# - **PDS**: retrieval with the cosine in place of the correlation, as in the Virtual Cell Challenge; .5 is chance.
# - **Direction fidelity**: right signs among the readouts predicted to change, over the larger of the numbers predicted and measured to change; predicting no change scores 0.
# - **Direction reach**: how far down the prediction's own ranking of the changed readouts at least nine signs in ten are right; 1 is all the way.
# - **Jaccard**: overlap of the readouts predicted and measured to change; 1 is the same set.
# - **nMAE**: error over the changed readouts, in units of their size; 1 is what predicting no change scores, lower is better.
# - **Vendi**: the effective number of different deltas among the predictions, beside that among the measured ones; the training mean is one prediction.

# %% tags=["dense", "hide-input"]
tables.shown(
    summaries.further(scores, seed=seed),
    "Further scores of the same predictions; means with 95 % bootstrap intervals over test perturbations.",
)

# %% tags=["dense", "hide-input"]
tables.shown(
    summaries.diversity(scores),
    "Effective number of different deltas among the predicted and among the measured ones (Vendi score), of all test perturbations of a line together.",
)

# %% [markdown] tags=["dense"]
# ## Is it better? The same perturbations, paired
#
# `share better` and `share worse` are those of the perturbations on which a predictor is above and below the training mean.

# %% tags=["dense", "hide-input"]
tables.shown(
    graph_neighbours.gains(scores, seed=seed),
    "Gain in Pearson delta over the training mean on the same test perturbations; two-sided Wilcoxon signed-rank tests, Holm-corrected within a line.",
    labels={"better": "share better", "worse": "share worse"},
)

# %% [markdown] tags=["simulated"]
# ## How far from a repeated experiment?
#
# The simulated atlas holds the deltas of two halves of the cells.
# Everything is scored against the first half here; the second is the replicate, with which it shares no cell.
# A scaled score is 0 for the training mean and 1 for the replicate; it is blank where the replicate does not clearly beat the training mean.
# A second experiment takes the place of the halves with `replicate_scores(..., replicate=deltas)`.

# %% tags=["simulated", "hide-input"]
shown = ("pearson", "centred_pearson", "pds_cosine", "direction_reach")
tables.shown(
    replicates.scaled_scores(repeated, seed, shown),
    "Scores between the training mean (0) and the replicate (1), against one half of the cells; ratios of means over test perturbations with 95 % percentile bootstrap intervals.",
)

# %% [markdown] tags=["simulated"]
# Whether a metric is usable at all is asked of two controls: the training mean knows nothing of the perturbation, and the interpolated duplicate, half the replicate and half the mean of the replicate's other perturbations, knows it.
# **DRF** is the part of the metric's range above the training mean that the duplicate reaches, **BDS** the share of perturbations on which it beats the training mean.

# %% tags=["simulated", "hide-input"]
tables.shown(
    replicates.metric_ranges(repeated, seed),
    "What both controls and the replicate reach in each metric, against one half of the cells; DRF and BDS with 95 % bootstrap intervals over test perturbations.",
)

# %% [markdown] tags=["simulated"]
# Centred Pearson delta, retrieval and PDS separate the two controls best; MAE hardly does, a DRF of .094 [.077, .113] and .102 [.086, .121].
# Direction reach is won by the duplicate on 47 % and 21 % of the perturbations only, since both reach nearly all changed readouts, and the DRF of direction fidelity has an interval that includes 0 in K562, .062 [-.026, .146].
# A second experiment with all cells would separate more than these halves do.

# %% [markdown]
# ## The same from the command line, and on PerturbQA
#
# ```bash
# kgpert evaluate --line k562 --outside k562=mine.h5ad
# ```
#
# prints these tables for PerturbQA's calls; there a readout counts as changed where the call is −1 or +1, nMAE and scaled scores do not exist, and gaps count for nobody.
# `--atlas simulated` or `--atlas DIR` name another atlas, `--csv` prints one row for each predictor and perturbation with every score, `--json` the tables.
# A file that cannot be scored is refused with one sentence that says why.
