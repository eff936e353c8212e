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
# # A2 · Real expression as distances: four screens, one gene left out at a time
#
# ```{admonition} Key takeaways
# :class: tip
# - In Adamson's {term}`CRISPRi` screen of K562 (84 genes) STRING neighbours raise {term}`retrieval` from .487 to .645 under one control, by .158 [.110, .219], and from .486 to .639 under the other, by .153 [.108, .209]; GO raises it to .600 and .608, both graphs together to .640 and .640.
# - The gain in cosine depends on the control and on the graph: with STRING it is .050 [.021, .081] under one control, .019 [−.006, .040] under the other, and .004 [−.037, .033] when one control is used for the prediction and the other for the measurement; with the two exchanged it is .054 [.030, .080]. GO neighbours show no gain in cosine under any control.
# - For ten of these genes a second {term}`guide` is known: it retrieves the gene with .929 [.755, .979] and .945 [.851, .979], where GO neighbours reach .628 and .673, STRING's .550 and .584, and the {term}`training mean` .533 and .530.
# - In Norman's activation screen (105 genes) STRING neighbours raise retrieval by .077 [.040, .126] and GO neighbours by .081 [.036, .132]; GO lowers the cosine by .091 [.053, .152].
# - Tian's and Frangieh's tables are mostly noise: 11 of 183 and 13 of 239 genes are farther from the control than the noise. In cosine neighbours are worse than the mean in Tian's and not better in Frangieh's.
# ```
#
# The other chapters use PerturbQA's calls or a simulation.
# This page scores the same predictor on measured expression, without a download: scPerturb's project {cite:p}`peidli2024` publishes the E-distances {cite:p}`szekely2013` between all perturbations of several screens, and four such tables come with this repository ([where from](data-distances)).
# A distance table gives no {term}`delta`, but all inner products of deltas ([formula](methods-distances)), and a mean over neighbours, its cosine with a measured delta and its {term}`retrieval` need nothing else.
# The space is that of 50 {term}`principal components <principal component>` of log1p expression; a cosine in it is not the {term}`Pearson delta` of the other chapters, and the two cannot be compared.
#
# Every gene is left out in turn.
# It is predicted by the mean of all other genes, or by the mean of at most five neighbours in each graph.

# %% tags=["parameters"]
graph = "string+go"
limit = 5
seed = 0

# %% tags=["hide-input"]
from kgpert_lib.evaluation import summaries
from kgpert_lib.studies import distances, tables
from kgpert_lib.studies import distances_figures as figures
from kgpert_lib.studies.style import style

style()

# %% [markdown]
# ## Two of four tables hold effects that stand out from noise
#
# Adamson's {cite:p}`adamson2016` is a knock-down screen of K562, Norman's {cite:p}`norman2019` activates genes in K562, Tian's {cite:p}`tian2021` is a knock-down screen in neurons, and Frangieh's {cite:p}`frangieh2021` removes genes in melanoma cells.
# Noise is here the distance between Adamson's two controls, and in the other three, which are corrected for the sampling of cells, the largest amount by which an entry falls below 0.

# %% mystnb={"figure": {"caption": "E-distance of each guide to the control in units of the noise, sorted; real, 94, 105, 183 and 239 guides. Blue: above the noise, which is the orange line. The axis is linear between \u22121 and 1 and logarithmic beyond.", "name": "fig-distances-effects"}, "image": {"alt": "Sorted E-distances to the control, one panel for each of four screens: nearly all guides are above the noise in Adamson 2016 and Norman 2019, few in Tian 2021 and Frangieh 2021."}}
screens = distances.screens()
figures.effects(screens)

# %% tags=["hide-input"]
tables.shown(
    distances.coverage(screens, graph, limit, seed),
    "What the four tables hold, real: genes with a neighbour in each graph among the genes of the screen; guides farther from the control than the noise; and the sum of negative eigenvalues of the Gram matrix relative to the positive ones, 0 in an exact table and near 1 where there is only noise.",
    labels={
        "left out": "rows left out",
        "with string": "genes with a STRING neighbour",
        "with go": "with a GO neighbour",
        "with string+go": "with either",
        "with an effect": "guides above noise",
        "negative": "negative eigenvalues",
    },
)

# %% [markdown]
# ## Neighbours gain in retrieval in two screens; the cosine depends on control and graph
#
# Retrieval asks whether a prediction is closer to its own gene than to the others.
# A constant prediction scores .5, and the mean of all other genes .47 to .49.
# In Adamson's screen neighbours gain in retrieval under either control, and also when the deltas that are averaged are taken against one control and the measured delta against the other.
#
# The cosine is less certain.
# In a table without correction the noise of the control's mean is in every delta, so that deltas agree through it: [two deltas without any effect have a cosine of about one half](methods-distances).
# Under one control the training mean has a cosine of .529, under the other .673.
# Against two different controls, prediction and measurement share no such noise; there the gain of STRING neighbours is .054 [.030, .080] in one direction and .004 [−.037, .033] in the other, and that of GO neighbours .020 [−.011, .047] and −.049 [−.099, −.011].
#
# In Norman's screen GO neighbours gain in retrieval and lose in cosine; STRING gains in retrieval, and its interval in cosine holds 0.
# In Tian's, neighbours lose in cosine; in retrieval no difference is clear (p = .14 after correction).
# In Frangieh's, no gain in cosine is clear.
# Its gains in retrieval, .051 [.012, .090] through STRING and .058 [.015, .099] through GO (p = .019 after correction), come from a table whose negative eigenvalues weigh as much as its positive ones, and are not counted as a finding here.

# %% mystnb={"figure": {"caption": "Gain of neighbours over the training mean in cosine (left) and retrieval (right), real expression as distances, each gene left out once and paired over genes. Bars are 95 % bootstrap intervals, grey where they hold 0.", "name": "fig-distances-gains"}, "image": {"alt": "Gains of STRING, GO and both over the training mean with intervals; retrieval gains lie above zero in Adamson 2016 and Norman 2019 under every control, cosine gains do not."}}
scores = distances.evaluate_screens(screens, graph, limit, seed)
predicted = distances.without_other_guide(scores)
gains = distances.gains(predicted, seed)
figures.gains(gains)

# %% tags=["hide-input"]
tables.shown(
    distances.side_by_side(gains),
    "The values of the figure, real: gain over the training mean with 95 % bootstrap intervals over genes, and p of two-sided Wilcoxon signed-rank tests, Holm-corrected within a screen, control and score.",
    labels={
        "cosine p": "p (Holm), cosine",
        "retrieval p": "p (Holm), retrieval",
    },
)

# %% tags=["hide-input"]
tables.shown(
    summaries.scores(
        predicted, distances.SCORES, [*distances.GROUP, "predictor"], seed
    ),
    "Mean scores with 95 % bootstrap intervals over genes, real.",
)

# %% [markdown]
# ## Among genes with a neighbour the gain is larger
#
# A gene without a neighbour gets the training mean and gains nothing.
# STRING joins 64 of Adamson's 84 genes to another one and raises their retrieval by .208 [.146, .278] under the control Gal4-4 and .201 [.146, .266] under 63; GO joins 67 and raises it by .141 [.083, .202] and .153 [.106, .206].

# %% tags=["hide-input"]
near = distances.with_neighbours(predicted)
tables.shown(
    distances.side_by_side(distances.gains(near, seed)),
    "Gain over the training mean among genes with a neighbour in the graph, real, with 95 % bootstrap intervals over these genes, and p of two-sided Wilcoxon signed-rank tests, Holm-corrected within a screen, control and score.",
    labels={
        "cosine p": "p (Holm), cosine",
        "retrieval p": "p (Holm), retrieval",
    },
)

# %% [markdown]
# ## Among genes above the noise the result is the same
#
# Leaving out genes that cannot be distinguished from the control changes little in Adamson's and Norman's screens.
# In Tian's and Frangieh's, 11 and 13 genes are left; no interval of a gain there lies above 0.

# %% tags=["hide-input"]
clear = distances.with_effect(predicted, screens)
tables.shown(
    distances.side_by_side(distances.gains(clear, seed)),
    "Gain over the training mean among genes whose distance to the first control is above the noise, real, with 95 % bootstrap intervals over these genes, and p of two-sided Wilcoxon signed-rank tests, Holm-corrected within a screen, control and score.",
    labels={
        "cosine p": "p (Holm), cosine",
        "retrieval p": "p (Holm), retrieval",
    },
)

# %% [markdown]
# ## Another guide of the gene is the ceiling
#
# Ten genes of Adamson's screen have two guides.
# How well one predicts the other is the {term}`ceiling` that these tables give; guides differ in strength and in what else they hit, so a perfect prediction of the gene could score higher.
# On these ten genes GO neighbours make .096 [.035, .227] of the .396 [.191, .592] in retrieval that the other guide gains over the training mean under the control Gal4-4, and .143 [.086, .230] of .415 [.215, .613] under 63; after correction the second of these gains is clear (p = .016), the first is not (p = .076).
# No gain of STRING neighbours over these genes, three of which have none, is clear.
# No gain in cosine over the ten genes is clear after correction.

# %% mystnb={"figure": {"caption": "Scores of the ten genes with two guides, Adamson 2016, real. A grey line is a gene, points are means with 95 % bootstrap intervals over the ten genes. The other guide is the ceiling, not a prediction.", "name": "fig-distances-guides"}, "image": {"alt": "Cosine and retrieval of ten genes under the training mean, STRING, GO, both and the other guide of the same gene, one row for each control; the other guide scores highest in every panel."}}
pairs = distances.with_two_guides(scores)
figures.two_guides(distances.with_one_control(pairs), seed)

# %% tags=["hide-input"]
tables.shown(
    summaries.scores(
        pairs, distances.SCORES, [*distances.GROUP, "predictor"], seed
    ),
    "Genes with two guides, real: mean scores with 95 % bootstrap intervals over genes.",
)

# %% tags=["hide-input"]
tables.shown(
    distances.side_by_side(distances.gains(pairs, seed)),
    "Genes with two guides, real: gain over the training mean with 95 % bootstrap intervals over genes, and p of two-sided Wilcoxon signed-rank tests, Holm-corrected within a control and score.",
    labels={
        "cosine p": "p (Holm), cosine",
        "retrieval p": "p (Holm), retrieval",
    },
)

# %% [markdown]
# ## What these tables cannot show
#
# - **No readout genes.**
#   Which genes rise and fall is not in a distance, so there is no Pearson delta and nothing to compare with PerturbQA's calls.
# - **Few and related genes.**
#   Adamson's genes were picked for the unfolded protein response, and members of one complex are scored as if they were independent ([by how much that matters](limitations-independence)).
# - **Knowledge is newer than the screens.**
#   STRING v11.0 of 2019 is later than Adamson's screen, and GO's annotations of August 2021 are later than all four; they may hold what was learnt from them.
# - **Which table of GO is used matters as much as whether one is used.**
#   With the graphs of later years (`graph=string-v12+go-2022`) GO neighbours gain .191 [.140, .253] and .168 [.124, .221] in retrieval in Adamson's screen, and STRING's physical links, which join 37 of the 84 genes, .125 [.080, .186] and .126 [.083, .185].
#   The tables differ in date and in which annotations and links they hold ([how](methods-links)), and this page cannot tell these reasons apart.
# - **Corrected tables need a repair.**
#   Their Gram matrices have negative eigenvalues, which are set to 0 ([why](methods-distances)); levels of the cosine in Norman's, Tian's and Frangieh's screens depend on it.
