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
# # 2e · Which knowledge counts
#
# ```{admonition} Key takeaways
# :class: tip
# - Thirteen tables of knowledge that are older than the screens are graphs by name; ten of them gain over the {term}`training mean` in all four lines by themselves, STRING v11.0 most (.060 to .105).
# - Weights that training perturbations give to all tables together beat the union of STRING and GO by .040 [.027, .056] (K562, n = 267), .015 [.010, .021] (RPE1, 406), .016 [.007, .026] (HepG2, 278) and .015 [.005, .025] (Jurkat, 313) on test perturbations; with filled gaps by .056, .019, .025 and .022.
# - Where the gene was knocked down in another line, reading that is worth more than anything else: .678, .742, .689 and .684 against .646, .707, .632 and .637. Where it is hidden (`strict`) other lines add .001 to .008.
# - The complexes of hu.MAP 2.0 make .37 to .46 of the learnt affinity, the largest share in every line; left out alone, no table costs more than .006.
# ```
#
# [Chapter 2](02_graph_neighbours.ipynb) averages the neighbours that STRING and GO give, each with the same vote.
# This chapter asks what each source of knowledge is worth by itself, and what is gained when training perturbations decide how much each of them counts.
# Everything that is chosen here was chosen on training perturbations; the test perturbations are read in the first and the last section, to report.

# %% tags=["parameters"]
lines = ["k562", "rpe1", "hepg2", "jurkat"]
graph = "string+go"
later = "string-v12+go-2022"
limit = 20
cut = "before"
prior = 1.0
resamples = 20
seed = 0

# %% tags=["hide-input"]
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.graphs import DATED
from kgpert_lib.predictors.named import Options, build
from kgpert_lib.screens.load import load_screen
from kgpert_lib.studies import graph_neighbours, knowledge
from kgpert_lib.studies import graph_neighbours_figures as figures
from kgpert_lib.studies import knowledge_figures as drawings
from kgpert_lib.studies.style import style
from kgpert_lib.studies.tables import shown

style()

# %% [markdown]
# ## The tables of knowledge and their dates
#
# Knowledge that is younger than a screen may have been learnt from it.
# The screens were published in December 2021 {cite:p}`replogle2022`; the first thirteen graphs are older and are the ones that the book uses, the later ones stand here for comparison.

# %% tags=["hide-input"]
shown(
    knowledge.sources(),
    "The committed graphs: snapshot, whether it is older than the publication of the screens, licence of the data. `kgpert graph list` adds genes, edges and coverage.",
    labels={"older": "older than the screens"},
)

# %% [markdown] tags=["needs-data"]
# ## Each graph alone
#
# **Claim.** Ten of the thirteen dated graphs gain over the training mean in every line and BioGRID in three; hallmark sets and SMART domains gain in none.
#
# As in chapter 2, at most 20 genes from each graph have one vote each.

# %% tags=["needs-data"]
screen = load_screen("perturbqa", lines, graph)
options = Options(limit, cut, prior, seed)
graphs = [*DATED, graph, "string-v12", "go-2022", later]
single = {build(name, screen, options).name: name for name in graphs}
predictors = [build(name, screen, options) for name in ["mean", *graphs]]
scores = evaluate_lines(screen.atlas, lines, predictors, "per-line")
gains = graph_neighbours.gains(scores, seed=seed)

# %% tags=["needs-data", "hide-input"]
shown(
    knowledge.alone(gains, single),
    "Gain in Pearson delta over the training mean of each graph alone and of two unions, PerturbQA (real), test perturbations (n = 267, 406, 278 and 313), with 95 % bootstrap intervals. The date is that of the youngest part.",
)

# %% [markdown] tags=["needs-data"]
# STRING v11.0 with its scores gains most of all single graphs, .060 [.046, .077] (RPE1) to .105 [.086, .128] (K562), and the union with GO gains as much or little more.
# The later tables know more links and gain no more: their union lies at .058 (RPE1) to .096 (K562), and the paired differences from the dated union are in [chapter 2d](02d_what_could_be_wrong.ipynb).
# The committed STRING v12 is a strict cut without scores, so that its row shows that cut as well as its date.
# BioGRID and IntAct are large and without weights, so that a neighbourhood of 20 is a draw from hundreds of links; hallmark sets and domains join genes that share little of what a knock-down breaks.
# A graph that gains nothing alone may still add to others, which is asked next.
#
# ## Weights that training perturbations choose
#
# **Claim.** On training perturbations the learnt affinity predicts better than the union, .023 per-line and .024 under `strict` on average over lines; filling the gaps adds .009 and .007, and other lines' knock-downs .046 and .004.
#
# The {term}`affinity` of two genes is a sum over tables of knowledge, each table's similarity to a few powers, and each with a weight that is not negative ([Methods](methods-affinity)).
# The weights are those that predict the training perturbations of a line best, each without its own row.
#
# - `weighted`: all training perturbations, weighted by the affinity of that line; `weighted-shared`: weights learnt on all lines together;
# - `weighted-filled`: the gaps of the training deltas are filled by a {term}`low-rank model`, and what is filled in counts at a weight of its own, fitted out of fold;
# - `weighted-lines`: the other lines' training perturbations count too, at a weight, and the gene's own knock-down in another line where the split lets it be read.

# %% tags=["hide-input"]
shown(
    knowledge.cross_validated(),
    "Mean Pearson delta in three of five folds of the training perturbations, PerturbQA (real); behind is the distance from the best rule of the split, error its standard error over 12 folds and lines. `python -m kgpert_lib.studies.knowledge` computes it.",
    digits=3,
)

# %% [markdown] tags=["needs-data"]
# Under both splits `weighted-lines` is the best fixed rule: the one that later chapters have to beat; of the rules that read one line only it is `weighted-filled`.
# Most of what other lines add under `per-line` is the gene's own knock-down there, which `strict` hides; what is left of it there is small and more than three standard errors from 0.
# Weights that all lines share are worth as much as those of one line, so the book uses the line's own, which need no other line.
#
# ## What the affinity reads
#
# **Claim.** The complexes of hu.MAP 2.0 make the largest share of the affinity in every line, .37 to .46; coexpression and experiments of STRING together .22 to .34.
#
# A table's share is how much of what is averaged speaks because of it, over all measured pairs of the training perturbations.

# %% mystnb={"figure": {"caption": "Share of the learnt affinity that each table makes, PerturbQA (real), training perturbations. Bars are 95 % intervals over 20 draws of the training perturbations, for each of which the weights were fitted anew; grey where a table has no weight in at least half of the draws.", "name": "fig-knowledge-shares"}, "image": {"alt": "Shares of thirteen tables of knowledge in the learnt affinity, one panel for each of four cell lines."}} tags=["needs-data"]
shares = knowledge.shares(screen, resamples=resamples, seed=seed)
drawings.shares(shares)

# %% tags=["needs-data", "hide-input"]
shown(
    knowledge.without_tables(screen, seed=seed),
    "What the leave-one-out prediction of training perturbations loses in Pearson delta when a table is left out and all other weights are fitted anew, PerturbQA (real), with 95 % bootstrap intervals over training perturbations. Small losses mean that other tables say the same.",
    digits=4,
)

# %% [markdown] tags=["needs-data"]
# The features of STRING, GO and BioGRID overlap, so that a share says what the fit picked, and not that others say nothing: left out alone, hu.MAP costs .001 to .003 and co-essential modules .003 to .006 in K562 and RPE1, the experiments of STRING .004 in Jurkat, and most tables nothing that shows.
# These losses are measured on the perturbations that the weights were fitted to, each left out as a neighbour of itself.
#
# ## On test perturbations
#
# **Claim.** On test perturbations the learnt affinity gains .015 to .040 over the union, with filled gaps .019 to .056, and every interval lies above 0; with the other lines' knock-downs `per-line` reaches .678, .742, .689 and .684 in K562, RPE1, HepG2 and Jurkat.
#
# All settings above were fixed before these scores were read.
# A rule that reads its own line only scores the same under both splits.

# %% mystnb={"figure": {"caption": "Gain in Pearson delta over the union of STRING and GO on the same test perturbations, PerturbQA (real), per-line split. Points are mean differences, bars 95 % bootstrap intervals over test perturbations; grey where the interval holds 0.", "name": "fig-knowledge-gains"}, "image": {"alt": "Gains of the weighted rules over the plain union, one panel for each of four cell lines."}} tags=["needs-data"]
rules = [build(name, screen, options) for name in ["union", *knowledge.BEST]]
test = evaluate_lines(screen.atlas, lines, rules, "per-line")
over_union = graph_neighbours.gains(test, rules[0].name, seed)
figures.paired_gains(over_union)

# %% tags=["needs-data", "hide-input"]
shown(
    knowledge.by_split(screen, rules, seed),
    "Mean Pearson delta of test perturbations under both splits, PerturbQA (real), with 95 % bootstrap intervals. `per-line` hides a test gene in its own line, `strict` in every line.",
)

# %% [markdown]
# ## What to take from this chapter
#
# - Knowledge that is older than the screens is enough, and what training perturbations make of all of it is worth more than any one graph.
# - `weighted-filled` is the best fixed rule that reads one line, `weighted-lines` the best of all; `kgpert predict INTS9 --line K562 --predictor weighted-filled` uses the first.
# - Where the same gene was knocked down in another line, that says more than all neighbours here; where it was not, other lines add .001 to .008.
