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
# # Knock-downs that break the same part look alike, as far as the parts decide
#
# ```{admonition} Key takeaways
# :class: tip
# - If a cell fails from its parts to its wholes, two knock-downs can differ only as far as they break different things: a bound that holds for every pair of genes in the simulated cell lines.
# - The bound is loose; it says which genes must look alike, and nothing about how different the others are.
# - Two knock-downs that meet in a complex or a pathway look more alike than two that meet in an organelle, and those more than two that meet nowhere; noise lowers every level and keeps that order.
# - Genes that respond in their own way, have substitutes or sit in several complexes cost a gene's neighbours their likeness; a knock-down that is merely partial does not, because correlation ignores size.
# - The submodules of the Integrator complex are blocks of similar responses where all assumptions hold; in the measured deltas of the simulated lines a test still finds them, though strong and weak knock-downs hide them from the eye.
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

# %%
from IPython.display import display

from kgpert_lib.evaluation import summaries
from kgpert_lib.screens.simulated.causal import HierarchicalSCM
from kgpert_lib.screens.simulated.simulation import simulate
from kgpert_lib.studies import causal_model as studies
from kgpert_lib.studies import causal_model_figures as figures
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
organelles = {"nucleus": ["snRNA processing", "splicing"], "mitochondrion": ["translation"]}

# %%
genes = [gene for parts in complexes.values() for gene in parts]
cell = HierarchicalSCM.from_memberships(
    genes, [complexes, pathways, organelles], readout=range(200), sensitivity=(0, 1, 0.6, 0.4), seed=seed
)

# %% [markdown]
# **Claim.** A knock-down breaks its gene and everything above it, and nothing else.

# %% mystnb={"image": {"alt": "Two drawings of a hierarchy of nine genes, four complexes, three pathways and two organelles. Knocking down INTS9 breaks the cleavage module, snRNA processing and the nucleus; knocking down INTS13 breaks the enhancer module, snRNA processing and the nucleus."}}
figures.knock_downs(cell, ["INTS9", "INTS13"])

# %% [markdown]
# **Figure: what fails (orange, ×) when INTS9 or INTS13 is knocked down; toy hierarchy, made up, nine genes.**
# A line says that the right end needs the left one.
# The two knock-downs break different complexes and then the same pathway: they *meet* in snRNA processing.
#
# In symbols: $Z^l$ is the list of components of level $l$, each 1 while it works and 0 once it fails, with genes at level 0.
# The model makes three assumptions.
#
# 1. **Failure climbs.** A component works only if all its parts do: $Z^l_j = \prod_{k \in \mathrm{parts}(j)} Z^{l-1}_k$.
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
studies.compare(cell, "INTS9", ["INTS4", "INTS13", "SF3B1", "MRPL4"]).round(3)

# %% [markdown]
# INTS4 breaks exactly what INTS9 breaks, so the two responses are the same; the later the others meet INTS9, the less they have in common with it.
#
# `HierarchicalSCM.sample` draws a random hierarchy of any size; its third gene, for example, breaks this:

# %%
larger = HierarchicalSCM.sample(seed=seed, sizes=(2_000, 400, 80, 10), readout=100)
state = larger.do("G0003")
{level: state.names(level) for level in larger.levels}

# %% [markdown]
# ## The bound holds for every pair, and is loose
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
# - If single genes have no response of their own ($K_0 = 0$), genes that are members of one complex and of no other have *equal* responses. The condition matters: two subunits of one complex may each belong to another one too.
# - The lower the level at which two genes meet, the fewer terms remain in the sum.
#
# **Claim.** In the simulated cell lines no pair of knock-downs is further apart than the bound.
#
# The simulated atlas places real genes into real complexes, pathways and organelles, read from GO {cite:p}`ashburner2000`; what each component does to expression when it fails is drawn at random, partly shared between lines.
# Here the constants $K_l$ are known exactly: the largest effect of any component of the level.

# %%
world = simulate(seed, size, lines)
every_pair = studies.bound_of_lines(world)

# %% mystnb={"image": {"alt": "Two density plots, K562 and RPE1: the bound of every pair of genes on the horizontal axis, the distance of their expected responses on the vertical axis. All pairs lie below the line where the two are equal, most of them far below."}}
figures.bound(every_pair)

# %% [markdown]
# **Figure: distance of the expected responses of two knock-downs against its bound, simulated atlas, every pair of 600 genes.**
# Distances are Euclidean, in log fold changes over 2,000 readout genes, without noise and with every knock-down complete.
# The line is where distance and bound are equal; the number of pairs and of pairs above the line stands over each panel.
# There is no interval because these are all pairs of one known world, not a sample.

# %%
summaries.formatted(studies.tightness(every_pair))

# %% [markdown]
# **Table: bound and distance by the level at which two knock-downs first meet, simulated atlas.**
# `over` counts the pairs above the bound, `median share` is distance divided by bound.
#
# What it means: the bound is never broken and is never nearly reached, because the effects of different components point in different directions of expression space and the largest effect of a level stands in for all of them.
# It is a promise about likeness, not an estimate of difference.

# %% [markdown]
# ## The earlier two knock-downs meet, the more alike they look
#
# **Claim.** The mean correlation between two responses falls from pairs that meet in a complex to those that meet in a pathway, in an organelle, and nowhere.
#
# Three kinds of profile are compared:
#
# - *the model*: responses as the assumptions want them, $K_0 = 0$, no noise;
# - *simulated world, no noise*: what endless cells would show, where genes also respond in their own way, a quarter of them is buffered, and a knock-down takes out more or less of what lies above it;
# - *simulated world, measured*: deltas from 30 to 200 cells a perturbation, as in a screen.

# %%
similar = studies.similarity_of_lines(world, seed=seed)

# %% mystnb={"image": {"alt": "Mean correlation of two profiles by the level where they first meet, for K562 and RPE1. In each of three curves, the model, the noise-free simulated world and the measured one, the correlation falls from complex to pathway, organelle and nowhere."}}
figures.similarity_by_level(similar)

# %% [markdown]
# **Figure: mean correlation of two profiles by where they first meet, simulated atlas, K562 and RPE1, n pairs as printed.**
# Bars are 95 % bootstrap intervals over genes, not over pairs: pairs share genes, and treating them as independent would make the bars far too short.

# %%
wide = similar.rename(columns={"low": "similarity_low", "high": "similarity_high"})
shown = summaries.formatted(wide.drop(columns=["atlas", "kind"]))
shown = shown.pivot(index=["line", "level", "n"], columns="profile", values="similarity [95 %]")
shown.reindex(lines, level="line").reindex(studies.MEETING, level="level")[["model", "noise-free", "measured"]]

# %% [markdown]
# **Table: the values of the figure.**
#
# What it means: the order is the one that the bound suggests, and noise lowers every level without changing it; the intervals of neighbouring levels overlap once responses are measured.
# Pairs that meet nowhere still correlate: part of every response, such as slower growth, is common to all essential genes.
# That common part is what makes the training mean a strong predictor, and why this book also reports {term}`centred Pearson`.

# %% [markdown]
# ## The Integrator complex across cell lines
#
# The paper points to a finding of {cite:t}`replogle2022`: in the correlation of signatures across cell lines, submodules of the {term}`Integrator complex` appear as blocks.
# Its submodules are known from biochemistry: a cleavage module, INTS4, INTS9 and INTS11 {cite:p}`albrecht2018`; a module of INTS10, INTS13 and INTS14, and a subcomplex of INTS5 and INTS8 {cite:p}`pfleiderer2021`, which recruits a phosphatase {cite:p}`huang2020`; and a core.
# The simulated atlas contains them (`data/simulated/README.md` says how they were grouped).
#
# **Claim.** Where all assumptions hold, the submodules are the blocks of the map; in the measured deltas of the simulated lines they are faint, but more than chance.

# %%
crosses = studies.cross_line_profiles(world)

# %% mystnb={"image": {"alt": "Heat map of the correlation across cell lines of fourteen Integrator subunits in the model without noise, ordered by submodule. The framed submodules on the diagonal are the darkest blocks."}}
figures.cross_line_map(crosses["model"], world.atlas, "the model's", zoomed=True)

# %% [markdown]
# **Figure: correlation of the response of one subunit in one line with that of another in the other line, the model ($K_0 = 0$, no noise), simulated atlas, K562 and RPE1, 14 subunits, 91 pairs.**
# Frames are submodules; the diagonal is a gene with itself in the other line, so it is not 1.
# Both directions are averaged, and the colours span the range of the values only.

# %% mystnb={"image": {"alt": "Heat map of the correlation, across cell lines, of the measured deltas of fourteen Integrator subunits ordered by submodule, with a frame around each submodule. Some subunits are bright in every row, others pale in every row."}}
for screen in studies.screens(atlas, world):
    display(figures.cross_line_map(studies.cross_line(screen), screen))

# %% [markdown]
# **Figure: the same map of measured deltas, simulated atlas, K562 and RPE1, 14 subunits, 91 pairs.**

# %%
summaries.formatted(studies.blocks_side_by_side(crosses, seed=seed))

# %% [markdown]
# **Table: mean correlation across lines by kind of pair, simulated atlas, with 95 % bootstrap intervals over genes; n counts pairs.**
# With 14 subunits the intervals of noisy deltas are wide.
# The next cell asks how often a random assignment of the subunits to submodules separates them at least as well (10,000 shuffles).

# %%
subunits = studies.integrator(world.perturbations.tolist())
{name: f"p = {studies.submodule_test(cross, subunits, seed=seed):.4f}" for name, cross in crosses.items()}

# %% [markdown]
# What it means: on average two genes of one submodule are more alike than two of different submodules, and these more than a subunit and another gene.
# In the measured deltas the difference is small, and the eye sees stripes instead: a subunit whose knock-down is strong agrees with all others, a buffered one (INTS14) with none.
# The blocks that were reported for the real screens are clearer than these.
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
# The code is honest about it in one way: `do` accepts genes only, never complexes.
# The bound does not care, since it uses no more than what fails together.
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
# **Claim.** The first two keep the bound and spoil likeness, redundancy spoils both, and partial knock-downs break the bound and leave the correlation alone.

# %% mystnb={"image": {"alt": "Four columns, one for each assumption given up. Above: the correlation of pairs that share a complex falls from 1 with own responses, moonlighting and redundancy and stays at 1 with partial knock-downs. Below: the share of pairs above the bound stays 0 in the first two columns, rises with redundancy, and jumps to 1 with partial knock-downs."}}
broken = studies.broken_assumptions(seed=seed)
figures.assumptions(broken)

# %% [markdown]
# **Figure: mean correlation of two responses by where they meet (above) and share of pairs above the bound (below) as one assumption at a time is given up; random hierarchies of 240 genes, simulated, no noise.**
# Bars are 95 % bootstrap intervals over genes; the table gives n pairs for those that meet in a complex.

# %%
shares = broken[broken["level"] == "complex"].drop(columns=["atlas", "kind", "level"])
shares = shares.rename(columns={"low": "similarity_low", "high": "similarity_high"})
summaries.formatted(shares.groupby("assumption", sort=False).nth([0, 2, 4]))

# %% [markdown]
# **Table: pairs that share a complex, at the first, middle and last step of each column; `over` is the share of them above the bound.**
# A gene with a substitute has no response here, and a correlation with nothing counts as 0.
#
# The simulated atlas has all four at once.
# Its pairs with equal descendants, which the model says respond alike, show what that costs:

# %%
summaries.formatted(studies.equal_descendants(world.scms[lines[0]], world.world.penetrance))

# %% [markdown]
# **Table: pairs of genes with the same descendants from complexes up, simulated atlas, first line, no noise.**
# `over` counts pairs above the bound of the row's own hierarchy.
#
# What it means for a prediction from neighbours:
#
# - own responses and moonlighting set a limit that no graph can lift, because they belong to the gene and not to the group;
# - genes with substitutes look like controls and are predicted badly by neighbours that do respond;
# - a partial knock-down costs nothing by correlation and much by squared error, one reason why the two kinds of score can rank the same predictions in opposite order.

# %% [markdown]
# ## What to take from this chapter
#
# - The model turns "genes that belong together fail alike" into a statement that can be checked, and it holds where its assumptions do.
# - It justifies averaging over neighbours that share *all* parts with a gene; a graph knows only some of them, and adds false ones.
# - Whether real screens are like this is an empirical question: [chapter 2](02_graph_neighbours.ipynb) asks it.
