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
# # 1 · Causal model: which knock-downs should look alike
#
# ```{admonition} Key takeaways
# :class: tip
# - If failure spreads from parts to wholes, two knock-downs can differ only as far as they break different things: a bound that holds for every pair of genes in the simulated cell lines while knock-downs are complete; with partial ones 63 of 179,700 pairs exceed it.
# - The bound is loose; it says which genes must look alike, and nothing about how different the others are.
# - Two knock-downs that meet in a complex or a pathway look more alike than two that meet in an organelle, and those more than two that meet nowhere; noise lowers every level and keeps the order of the means.
# - Own responses, substitutes and membership in several complexes make the members of a complex less alike; partial knock-downs lower the correlation only where genes also respond in their own way.
# - The submodules of the Integrator complex are blocks of similar responses where all assumptions hold; in measured deltas of the simulated lines a test finds them at p < .05 in three of six simulated worlds.
# ```
#
# Why should the neighbours of a gene in a knowledge graph say what its own knock-down does?
# The paper answers with a picture of the cell {cite:p}`fawkes2026`: genes make proteins, proteins make complexes, complexes make pathways, pathways make organelles, and what lacks a part stops working.
# This chapter builds that picture as a structural causal model, checks what follows from it on simulated cell lines where the truth is known, and breaks its assumptions one by one.
# It needs no download.
# Numbers about real cells begin in the [next chapter](02_graph_neighbours.ipynb).

# %% tags=["parameters"]
atlas = "simulated"
lines = ["k562", "rpe1"]
size = "default"
seed = 0
seeds = 6

# %% tags=["hide-input"]
from IPython.display import display

from kgpert_lib.screens.simulated.causal import HierarchicalSCM
from kgpert_lib.screens.simulated.simulation import simulate
from kgpert_lib.studies import causal_model as studies
from kgpert_lib.studies import causal_model_figures as figures
from kgpert_lib.studies import tables
from kgpert_lib.studies.style import style

style()

# %% [markdown]
# ## A cell of nine genes
#
# The smallest world that shows everything has nine genes, four complexes, three pathways and two organelles.
# Their names are real and their grouping is roughly right; the numbers that follow are made up.

# %%
complexes = {
    "cleavage module": ["INTS4", "INTS9", "INTS11"],
    "enhancer module": ["INTS10", "INTS13"],
    "U2 snRNP": ["SF3B1", "SF3A3"],
    "mitoribosome": ["MRPL4", "MRPS5"],
}
pathways = {
    "snRNA processing": ["cleavage module", "enhancer module"],
    "splicing": ["U2 snRNP"],
    "translation": ["mitoribosome"],
}
organelles = {
    "nucleus": ["snRNA processing", "splicing"],
    "mitochondrion": ["translation"],
}

# %%
genes = [gene for parts in complexes.values() for gene in parts]
cell = HierarchicalSCM.from_memberships(
    genes,
    [complexes, pathways, organelles],
    readout=range(200),
    sensitivity=(0, 1, 0.6, 0.4),
    seed=seed,
)

# %% [markdown]
# **Claim.** A knock-down breaks its gene and everything above it, and nothing else.

# %% mystnb={"figure": {"caption": "What fails (orange, \u00d7) when INTS9 or INTS13 is knocked down; toy hierarchy, made up, nine genes. A line says that the right end needs the left one.", "name": "fig-knock-downs"}, "image": {"alt": "Two drawings of a hierarchy of nine genes, four complexes, three pathways and two organelles. Knocking down INTS9 breaks the cleavage module, snRNA processing and the nucleus; knocking down INTS13 breaks the enhancer module, snRNA processing and the nucleus."}}
figures.knock_downs(cell, ["INTS9", "INTS13"])

# %% [markdown]
# The two knock-downs break different complexes and then the same pathway: they *meet* in snRNA processing.
#
# In symbols: $Z^l$ is the list of components of level $l$, each 1 while it works and 0 once it fails, with genes at level 0.
# The model makes three assumptions.
#
# 1. **Failure spreads upwards.** A component works only if all its parts do: $Z^l_j = \prod_{k \in \mathrm{parts}(j)} Z^{l-1}_k$.
# 2. **A knock-down is an intervention on one gene,** $\mathrm{do}(Z^0_p = 0)$. What fails are $p$ and its descendants; $De_l(p)$ are those of level $l$.
# 3. **The response comes from what fails.** The expected expression $E[X \mid z]$ moves by at most $K_l$ for each component of level $l$ that changes: $\lVert E[X \mid z] - E[X \mid z'] \rVert \le \sum_l K_l \lVert z^l - z'^l \rVert_1$.

# %% [markdown]
# ## Play with it
#
# `do` knocks genes down and says what fails; a second `do` comes on top of the first.

# %%
state = cell.do("INTS9").do("SF3B1")
{level: state.names(level) for level in cell.levels}

# %% [markdown]
# `response` is the expected change of every readout gene, and `similarity` correlates two responses.
# `compare` puts one knock-down beside others.

# %%
others = studies.compare(cell, "INTS9", ["INTS4", "INTS13", "SF3B1", "MRPL4"])
tables.shown(
    others, "INTS9 beside four other knock-downs, toy hierarchy, made up."
)

# %% [markdown]
# INTS4 breaks exactly what INTS9 breaks, so the two responses are the same; the later the others meet INTS9, the less they have in common with it.
#
# `HierarchicalSCM.sample` draws a random hierarchy of any size; its third gene, for example, breaks this:

# %%
larger = HierarchicalSCM.sample(
    seed=seed, sizes=(2_000, 400, 80, 10), readout=100
)
state = larger.do("G0003")
{level: state.names(level) for level in larger.levels}

# %% [markdown]
# ## The bound holds for complete knock-downs, and is loose
#
# Put the two states $\mathrm{do}(p)$ and $\mathrm{do}(q)$ into assumption 3.
# By assumptions 1 and 2 they differ exactly where one of $p$ and $q$ breaks something that the other does not, so
#
# ```{math}
# :label: eq-bound
# \lVert E[X \mid \mathrm{do}(p)] - E[X \mid \mathrm{do}(q)] \rVert \;\le\; \sum_l K_l \, \lvert De_l(p) \,\triangle\, De_l(q) \rvert ,
# ```
#
# where $\triangle$ keeps what belongs to one of the two sets only.
# The paper's own formula is missing from the text that we have; this one is reconstructed from its assumptions.
# Two consequences:
#
# - If single genes have no response of their own ($K_0 = 0$), genes that are members of one complex and of no other have *equal* responses. The paper says that their distributions are equal; that holds only under these two conditions.
# - The lower the level at which two genes meet, the fewer terms remain in the sum.
#
# **Claim.** In the simulated cell lines no pair of complete knock-downs is further apart than the bound.
#
# The simulated atlas places real genes into real complexes, pathways and organelles, read from GO {cite:p}`ashburner2000`; what each component does to expression when it fails is drawn at random, partly shared between lines.
# Here the constants $K_l$ are known exactly: the largest effect of any component of the level.

# %%
world = simulate(seed, size, lines)
every_pair = studies.bound_of_lines(world)

# %% mystnb={"figure": {"caption": "Distance of the expected responses of two knock-downs against its bound, simulated, every pair of 600 genes. Distances are Euclidean, in log fold changes over 2,000 readout genes, without noise and with every knock-down complete. The line is where distance and bound are equal; darker cells hold more pairs, on one logarithmic scale for both lines.", "name": "fig-bound"}, "image": {"alt": "Two density plots, K562 and RPE1: the bound of every pair of genes on the horizontal axis, the distance of their expected responses on the vertical axis. All pairs lie below the line where the two are equal, most of them far below."}}
figures.bound(every_pair)

# %% [markdown]
# There is no interval because these are all pairs of one known world, not a sample.
# Partial knock-downs do exceed the bound in a few pairs: in either line 63 of the 179,700 pairs lie above it once every gene has the penetrance that the simulation gives it ([command](methods-simulated)).

# %% tags=["hide-input"]
tables.shown(
    studies.tightness(every_pair),
    "Bound and distance by the level at which two knock-downs first meet, simulated, every knock-down complete. `over`: pairs above the bound; `median share`: distance divided by bound.",
)

# %% [markdown]
# With complete knock-downs no pair exceeds the bound, and the median pair uses 12 to 21 % of it, because the effects of different components point in different directions of expression space and the largest effect of a level stands in for all of them.
# The bound limits how different two responses can be; it does not estimate how different they are.

# %% [markdown]
# ## The earlier two knock-downs meet, the more alike they look
#
# **Claim.** The mean correlation between two responses falls from pairs that meet in a complex to those that meet in a pathway, in an organelle, and nowhere.
#
# Three kinds of profile are compared:
#
# - *the model*: responses that follow from the assumptions, $K_0 = 0$, no noise;
# - *simulated world, no noise*: expected values, where genes also respond in their own way, a quarter of them is buffered, and a knock-down takes out more or less of what lies above it;
# - *simulated world, measured*: deltas from 30 to 200 cells a perturbation, as in a screen.

# %%
similar = studies.similarity_of_lines(world, seed=seed)

# %% mystnb={"figure": {"caption": "Mean correlation of two profiles by where they first meet, simulated, K562 and RPE1, n pairs as printed. Bars are 95 % bootstrap intervals over genes, not over pairs: pairs share genes, and treating them as independent would make the bars far too short.", "name": "fig-similarity"}, "image": {"alt": "Mean correlation of two profiles by the level where they first meet, for K562 and RPE1. In each of three curves, the model, the noise-free simulated world and the measured one, the correlation falls from complex to pathway, organelle and nowhere."}}
figures.similarity_by_level(similar)

# %% tags=["hide-input"]
tables.shown(
    studies.by_profile(similar),
    "Mean correlation of two profiles by where they first meet, simulated; n counts pairs, brackets are 95 % bootstrap intervals over genes.",
)

# %% [markdown]
# The order is the one that the bound suggests, and noise lowers every level without changing it; the intervals of neighbouring levels overlap once responses are measured.
# Pairs that meet nowhere still correlate: part of every response, such as slower growth, is common to all essential genes.
# That common part is what makes the training mean a strong predictor, and why this book also reports {term}`centred Pearson`.

# %% [markdown]
# ## The Integrator complex across cell lines
#
# The paper points to a finding of {cite:t}`replogle2022`: in the correlation of signatures across cell lines, submodules of the {term}`Integrator complex` appear as blocks.
# Its submodules are known from biochemistry: a cleavage module, INTS4, INTS9 and INTS11 {cite:p}`albrecht2018`; a module of INTS10, INTS13 and INTS14, and a subcomplex of INTS5 and INTS8 {cite:p}`pfleiderer2021`, which recruits a phosphatase {cite:p}`huang2020`; and a core.
# The simulated atlas contains them (`data/simulated/README.md` says how they were grouped).
#
# **Claim.** Where all assumptions hold, the submodules are the blocks of the map; in the measured deltas of the simulated lines they are weaker, and found in some simulated worlds and not in others.

# %%
crosses = studies.cross_line_profiles(world)

# %% mystnb={"figure": {"caption": "Correlation of the response of one Integrator subunit in one line with that of another in the other line, the model ($K_0 = 0$, no noise), simulated, K562 and RPE1, 14 subunits, 91 pairs. Frames are submodules; the diagonal is a gene with itself in the other line, so it is not 1. Both directions are averaged.", "name": "fig-cross-line-model"}, "image": {"alt": "Heat map of the correlation across cell lines of fourteen Integrator subunits in the model without noise, ordered by submodule. The framed submodules on the diagonal are the darkest blocks."}}
figures.cross_line_map(crosses["model"], world.atlas, "the model's")

# %% [markdown]
# The same map of measured deltas, in the same colours:

# %% mystnb={"figure": {"caption": "The map of {numref}`fig-cross-line-model` for measured deltas, simulated, K562 and RPE1, 14 subunits, 91 pairs, in the same colours.", "name": "fig-cross-line-measured"}, "image": {"alt": "Heat map of the correlation, across cell lines, of the measured deltas of fourteen Integrator subunits ordered by submodule, with a frame around each submodule. Some subunits are bright in every row, others pale in every row."}}
for screen in studies.screens(atlas, world):
    display(figures.cross_line_map(studies.cross_line(screen), screen))

# %% tags=["hide-input"]
blocks = studies.blocks_side_by_side(crosses, seed=seed)
tables.shown(
    blocks,
    "Mean correlation across lines by kind of pair, simulated, with 95 % bootstrap intervals over genes; n counts pairs. With 14 subunits the intervals of noisy deltas are wide.",
)

# %% [markdown]
# How often does a random assignment of the subunits to submodules separate them at least as well (10,000 shuffles)?
# One simulated world gives one answer, so the cells of the subunits are drawn again for `seeds` worlds.

# %%
subunits = studies.integrator(world.perturbations.tolist())
tests = {
    name: studies.submodule_test(cross, subunits, seed=seed)
    for name, cross in crosses.items()
}
power = studies.submodule_power(seeds, lines, size)
{name: f"p = {p:.4f}" for name, p in tests.items()}

# %% tags=["hide-input"]
tables.shown(
    power,
    "P value of the submodules in measured deltas, one simulated world per seed.",
)

# %% [markdown]
# In the model and without noise no shuffle separates them as well; p = .0001 is the smallest value that 10,000 shuffles can give.
# In measured deltas the test finds them at p < .05 in three of six worlds (.037, .045 and .028; the others .064, .11 and .25).
# Six worlds are too few to say how often it would.
# The map of measured deltas has stripes instead of blocks: a subunit whose knock-down is strong correlates with all others, a buffered one (INTS14) with none.
#
# The real figure needs expression deltas of full screens in two or more lines, which this book does not include.
# PerturbQA cannot stand in: it records calls on a few tested genes, and two of its perturbations share hardly any.
# If you have such deltas, saved as an atlas (`Atlas.save`), this draws them below the simulated ones:
#
# ```bash
# make book CHAPTERS=01 SET="atlas=simulated,/path/to/atlas lines=[k562, rpe1]"
# ```

# %% [markdown]
# ## Constitution is not causation
#
# The paper adds a footnote: strictly, some edges of the hierarchy are not causal.
# A cleavage module is not *caused* by INTS9 the way a fever is caused by an infection; it *consists* of INTS9 and two other proteins.
# The edge from a complex to a pathway can be causal in the full sense: the pathway is a process, and it runs because the complex works.
#
# The difference shows in the experiments that make sense.
#
# - Across a causal edge one can intervene in between: supply the product that a broken pathway no longer makes, and the organelle recovers although the complex is still broken.
# - Across a constitutive edge one cannot: no experiment removes INTS9 and keeps the module whole. There is no delay either, and no effect that could be mediated or blocked.
#
# In the code, `do` accepts genes only, never complexes.
# The bound holds for both kinds of edge, since it uses only what fails together.
# But a reader who wants to use the hierarchy for rescue experiments, timing or mediation has to say first which edges are which.

# %% [markdown]
# ## Where the assumptions break
#
# No real cell satisfies the three assumptions.
# Each column below starts from a random hierarchy where all of them hold, and changes one parameter.
#
# - **Own response**, $K_0 > 0$: each subunit also does something of its own, so two subunits of one complex differ.
# - **Moonlighting**: components belong to further wholes, so sharing one no longer means sharing all.
# - **Redundancy**: some genes have a substitute, such as a paralogue; knocking them down breaks nothing above them.
# - **Partial knock-down**: CRISPRi leaves some of the protein, more for one gene than for another.
#
# **Claim.** The first two keep the bound and lower the correlation, redundancy breaks the bound and lowers it too; a partial knock-down, where genes have no response of their own, breaks the bound and leaves the correlation alone.

# %% mystnb={"figure": {"caption": "Mean correlation of two responses by where they meet (above) and share of pairs above the bound (below) as one assumption at a time is given up; random hierarchies of 240 genes, simulated, no noise. Bars above are 95 % bootstrap intervals over genes; the shares below have none.", "name": "fig-assumptions"}, "image": {"alt": "Four columns, one for each assumption given up. Above: the correlation of pairs that share a complex falls from 1 with own responses, moonlighting and redundancy and stays at 1 with partial knock-downs. Below: the share of pairs above the bound stays 0 in the first two columns, rises with redundancy, and jumps to 1 with partial knock-downs."}}
broken = studies.broken_assumptions(seed=seed)
figures.assumptions(broken)

# %% tags=["hide-input"]
tables.shown(
    studies.first_middle_last(broken),
    "Pairs that share a complex, at the first, middle and last step of each column, random hierarchies, simulated; `over`: share of the pairs above the bound; 95 % bootstrap intervals over genes.",
)

# %% [markdown]
# A gene with a substitute has no response here, and a correlation with nothing counts as 0.
# For partial knock-downs the bound of such pairs is 0, so that any difference is above it: the share below says no more than that.
#
# The simulated atlas has all four at once.
# Its pairs with equal descendants, which respond alike in the model, show how far it moves them apart:

# %% tags=["hide-input"]
equal = studies.equal_descendants(world.scms[lines[0]], world.world.penetrance)
tables.shown(
    equal,
    "Pairs of genes with the same descendants from complexes up, simulated, K562, no noise. `over`: pairs above the bound of the row's own hierarchy, which holds for complete knock-downs.",
)

# %% [markdown]
# Where genes also respond in their own way, a partial knock-down changes the proportion of the two parts of a response, and the correlation of such pairs falls from .896 to .711; 41 of the 731 pairs are then further apart than the bound allows for complete knock-downs.
#
# What it means for a prediction from neighbours:
#
# - no graph can remove the differences caused by own responses and moonlighting, because they belong to the gene and not to the group;
# - genes with substitutes look like controls and are predicted badly by neighbours that do respond;
# - a partial knock-down raises the squared error even where it leaves the correlation as it is, one reason why the two kinds of score can rank the same predictions in opposite order.

# %% [markdown]
# ## What to take from this chapter
#
# - The model turns "genes that belong together fail alike" into a statement that can be checked, and it holds where its assumptions do.
# - It justifies averaging over neighbours that share *all* parts with a gene; a graph knows only some of them, and adds false ones.
# - Whether real screens are like this is an empirical question: [chapter 2](02_graph_neighbours.ipynb) asks it.
