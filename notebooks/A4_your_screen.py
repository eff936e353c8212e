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
# # A4 · Your own screen: from a file of cells or deltas to scores and a prediction

# %% [markdown] tags=["example"]
# ```{admonition} Key takeaways
# :class: tip
# - One command, `kgpert screen`, makes an {term}`atlas` of single cells or of {term}`deltas <delta>` in an h5ad file, with edge lists of your own beside it; every command and `kgpert book` then take the folder.
# - In the example of this page, simulated cells in the form in which a laboratory hands them on, the union of the graphs gains .100 [.076, .122] in {term}`Pearson delta` over the training mean (n = 50 test genes; the ceiling lies .269 above it). This says that the steps work, and nothing about cells.
# ```

# %% [markdown]
# This page goes from a file to a prediction.
# With `file` empty it makes its own example; with a file of yours it says the same of your screen ([below](own-commands)).

# %% tags=["parameters"]
file = ""
edges = ""
line = ""
perturbation_column = ""
control = ""
batch_column = ""
gene_column = ""
held_out = ""
gene = ""
split = "strict"
limit = 20
correction = "noise-free"
seed = 0

# %% tags=["hide-input"]
from tempfile import TemporaryDirectory

from IPython.display import HTML

from kgpert_lib.evaluation import summaries
from kgpert_lib.studies import ceilings, graph_neighbours, own_screen, tables
from kgpert_lib.studies import ceilings_figures as figures
from kgpert_lib.studies import graph_neighbours_figures as by_neighbours
from kgpert_lib.studies import own_screen_figures as trust_figures
from kgpert_lib.studies.style import style

style()

# %% [markdown]
# ## The file: deltas or single cells
#
# | | `X` (or a layer) | `obs`, one row for each | `var` |
# |---|---|---|---|
# | single cells | raw counts, or log-normalised expression | cell: the gene knocked down, with a label for controls such as `non-targeting`; a batch, if there is one | readout genes: symbols, or Ensembl ids |
# | deltas | differences from the controls, NaN where nothing was measured | perturbation: its gene; its number of cells (`n_cells`), if known | the same |
#
# A file with a negative number is taken for deltas.
# `obs` may have a column `cell_line`, where a file holds several lines, and a column `split` with train, val and test.
# The edges are a csv with two gene columns and an optional weight.

# %%
folder = TemporaryDirectory()
source = own_screen.source(folder.name, file, edges, seed)
tables.shown(
    own_screen.look(source),
    "What is in the file: X, and each column of obs and var with its first values.",
    labels={"different": "different values"},
)

# %% [markdown] tags=["example"]
# The example holds counts of cells in three batches, controls with non-targeting guides and two guides for each gene, whose cells belong together.
# Six cells of one gene are too few, and eight cells carry guides of two genes.

# %% [markdown]
# ## An atlas in a folder
#
# `kgpert screen` sums the log-normalised cells of each gene, subtracts the controls of the same batches, and does the same for two random halves of the cells ([the delta](methods-objects)).
# A gene whose readout has another spelling, or an Ensembl id, is recognised, since a perturbation's own readout counts in no score.
# A quarter of the genes is drawn for test where the file names none.

# %%
settings = own_screen.settings(
    line,
    perturbation_column,
    control,
    batch_column,
    gene_column,
    held_out,
    seed,
)
screen = own_screen.save(source, f"{folder.name}/own", settings)
tables.shown(
    ceilings.sizes([screen]),
    "Size of the atlas, and of its graphs: median cells per perturbation, edges of each graph, and held-out genes that a graph joins to a training gene.",
)

# %% tags=["hide-input"]
tables.shown(
    own_screen.left_out(screen),
    "What was read, and what was left out.",
)

# %% tags=["hide-input"]
HTML(own_screen.box(own_screen.limits(screen)))

# %% [markdown]
# ## How well do the graphs predict held-out genes?
#
# Each predictor sees training genes only and is scored on the test genes ([methods](methods-metrics)).
# How each score reads is said in [appendix A3](A3_compare.ipynb).
# The ceiling is the reproducibility of the experiment, from the two halves of the cells, under `correction` ([methods](methods-reproducibility)).

# %% mystnb={"figure": {"caption": "Gain in Pearson delta over the training mean on the same test genes. Points are mean differences, bars 95 % bootstrap intervals, grey where they hold 0; orange is how far the mean ceiling under `correction` lies above the training mean, with its interval.", "name": "fig-own-gains"}, "image": {"alt": "Paired gain of the predictors over the training mean, with the ceiling as an orange band, one panel for each cell line."}}
models = own_screen.predictors(screen, limit, seed)
scores = own_screen.scores(screen, models, split, correction)
gains = graph_neighbours.gains(scores, seed=seed)
room = ceilings.ceilings(scores, "training mean", seed)
figures.gains_under_ceiling(gains, room)

# %% tags=["hide-input"]
tables.shown(
    summaries.scores(scores, seed=seed),
    "Mean scores with 95 % bootstrap intervals over test genes; `given the training mean`: genes without a neighbour.",
)

# %% tags=["hide-input"]
tables.shown(
    gains,
    "Gain in Pearson delta over the training mean, paired over test genes. Two-sided Wilcoxon signed-rank tests, Holm-corrected within a line.",
    labels={"better": "share better", "worse": "share worse"},
)

# %% tags=["hide-input"]
tables.shown(
    summaries.further(scores, seed=seed),
    "Further scores of the same predictions; means with 95 % bootstrap intervals over test genes.",
)

# %% tags=["hide-input"]
tables.shown(
    ceilings.ceilings(scores, seed=seed),
    "Mean ceiling of the test genes, mean gap of the union to it, and share of genes predicted above their ceiling, with 95 % bootstrap intervals; blank without halves of the cells.",
    labels={"above": "share above ceiling"},
)

# %% mystnb={"figure": {"caption": "Mean gain in Pearson delta of the union over the training mean by number of training neighbours. Bars are 95 % bootstrap intervals; below each group its number of test genes and its share of the line's whole gain.", "name": "fig-own-neighbours"}, "image": {"alt": "Mean gain by number of training neighbours, one panel for each cell line."}}
grouped = graph_neighbours.gain_by_neighbours(scores, "union", seed=seed)
by_neighbours.gain_by_neighbours(grouped)

# %% [markdown]
# ## How far to trust a prediction
#
# An expected score with an interval is learnt on training genes, from what can be seen of a neighbourhood before any answer is known ([methods](methods-trust)).
# On test genes one sees whether the intervals hold what they promise.

# %% mystnb={"figure": {"caption": "Expected Pearson delta (line) with its 80 % interval (band) and the reached one (points) of the union, test genes by expected score.", "name": "fig-own-trust"}, "image": {"alt": "Expected Pearson delta with 80 % intervals and reached Pearson delta for test genes sorted by the expected score, one panel for each cell line."}}
union = own_screen.union(screen, limit, seed)
trust = own_screen.trusted(screen, union, seed)
trust_figures.trust(trust, screen.atlas.label)

# %% [markdown]
# ## One gene
#
# Without a name in `gene`, the test gene with most neighbours.

# %%
own_screen.explained(screen, union, gene)

# %% [markdown]
# (own-commands)=
# ## The same with your own files
#
# ```bash
# kgpert screen cells.h5ad -o mine --graph edges.csv
# kgpert predict INTS9 --atlas mine
# kgpert book --atlas mine
# ```
#
# The first command makes the atlas and says what it left out; `kgpert screen --help` lists the columns that may be named, and a file that cannot be read is refused with one sentence that says why.
# The second predicts a gene, screened or not; `kgpert evaluate --atlas mine` prints the tables above.
# The third renders this page and every chapter that can show a screen of expression; chapters on recorded answers, runs and calls are left out.
# This page alone takes the file itself:
#
# ```bash
# make book CHAPTERS=A4 SET="file=cells.h5ad edges=edges.csv line=thp1"
# ```
#
# In Python:
#
# ```python
# from kgpert_lib.screens import annotated
# from kgpert_lib.screens.load import load_screen
#
# graphs = annotated.read_edges(["edges.csv"])
# atlas = annotated.read_screen(["cells.h5ad"], "mine", graphs=graphs)
# screen = load_screen(annotated.save_screen(atlas, "mine", graphs))
# ```
#
# Graphs in the folder are used beside STRING and GO, where these know at least half of the perturbed genes; `--graph` names others.
#
# ## Limits
#
# - Files are read into memory as a whole; a screen that does not fit has to be summed up to deltas before.
# - Knock-downs of one gene only: combinations are left out and counted.
# - The gene table is human; genes of another organism are taken under their own names where the edges know at least half of them, and aliases and Ensembl ids then mean nothing.
# - Cells that failed to be knocked down are not recognised; filter them before.
# - Deltas whose halves are unknown have no ceiling, and expected scores take at least 50 training genes.
# - Test genes are drawn one by one: genes of one complex fall on both sides, as in the book's own screens ([limitations](../book/limitations.md)).
