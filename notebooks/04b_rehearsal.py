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
# # 4b · A training run on two cores
#
# ```{admonition} Key takeaways
# :class: tip
# - A gene-edit model of ■ million parameters, trained by GRPO for ■ minutes on two CPU cores, earns ■ [■, ■] at its end and ■ [■, ■] at its start in the simulation, and ■ [■, ■] after ■ [■, ■] on PerturbQA (mean and range of three seeds).
# - On test genes of the simulation its edits gain ■ [■, ■] (K562, n = 150) and ■ [■, ■] (RPE1, 150) in Pearson delta over the unedited union, and they beat random edits of the same size and the warm start alone in each line (Holm p at most ■). They go ■ [■, ■] and ■ [■, ■] of the way from the union to the true graph.
# - On PerturbQA's test genes they gain ■ [■, ■] (K562, n = 267), ■ [■, ■] (RPE1, 406), ■ [■, ■] (HepG2, 278) and ■ [■, ■] (Jurkat, 313) over the union; `weighted-filled`, a fixed rule that reads the same rows, lies ■ above them on average.
# - What it learnt: it removes neighbours without a common complex or pathway ■ [■, ■] times as often as they are offered, and adds genes that share one ■ [■, ■] times as often (simulated).
# - Two seeds give the same edit for ■ of the genes. Moves that all three make gain ■ [■, ■] alone, moves of a single one ■ [■, ■] (simulated).
# ```
#
# [The first half of this chapter](04_rl_training.ipynb) shows what an edit earns; here a policy is trained on it.
# The policy is a small transformer that sees a gene by its GO terms and edges and proposes genes to add and to remove, the trainer is TRL's GRPO set as Prime-RL has it, and questions, parser and reward are those of the first half.
# It is a rehearsal: the same tasks and the same path as the run on H100s, with a model that fits two CPU cores.
# The paper's model knows biology from its pretraining; this one knows only what graphs, GO and training perturbations tell it.
#
# The page reads recorded runs and trains nothing.
# Every number on test genes comes from their recorded answers, judged and scored anew here.

# %% tags=["parameters"]
atlas = "perturbqa,simulated"
runs = ["simulated", "perturbqa"]
language = ["smollm2-simulated"]
window = 20
seed = 0

# %% tags=["hide-input"]
from kgpert_lib.studies import rehearsal, run_scores
from kgpert_lib.studies import rehearsal_draws as draws
from kgpert_lib.studies import rehearsal_edits as edits
from kgpert_lib.studies import rehearsal_figures as figures
from kgpert_lib.studies.run_scores import (
    each,
    fresh,
    of_atlas,
    overview,
    run_groups,
)
from kgpert_lib.studies.style import style
from kgpert_lib.studies.tables import shown

style()

# %% [markdown]
# ## What was run
#
# Each run starts with a supervised warm start on edits that a search finds for training perturbations, and goes on with GRPO: groups of answers to one question, each rewarded against the mean of its group.
# Runs of one row differ in their seed only.
# `runs` takes names in `data/runs` or paths, so that another run, also one of Prime-RL in the same form, is shown by `make book CHAPTERS=04b SET="runs=[path/to/run] atlas=perturbqa"`.

# %% tags=["hide-input"]
groups, models = run_groups(runs), run_groups(language)
shown(
    overview([*groups, *models]),
    "The recorded runs: what was trained on which lines, seeds, GRPO steps, questions a step, answers to each question, minutes a run on two cores, and the moments at which every test question was answered. `kgpert rl runs` lists them.",
    digits=0,
)

# %% [markdown]
# ## Learning curves
#
# **Claim.** The mean reward of training answers rises from ■ [■, ■] to ■ [■, ■] in the simulation and from ■ [■, ■] to ■ [■, ■] on PerturbQA (mean and range of three seeds, first and last 20 steps).
#
# The curves are over training questions and over sampled answers; an answer that keeps to the form and proposes nothing earns .25.
# A rise of the gap is what a prediction gains; a rise of format and validity alone is a matter of form.

# %% mystnb={"figure": {"caption": "Learning curves: reward, its three parts before they are weighted, the gap in Pearson delta, and genes added and removed, by GRPO step. Lines are means over seeds of means over 20 steps, bands reach from the least to the most seed. Training questions, sampled answers.", "name": "fig-rehearsal-curves"}, "image": {"alt": "Rows of four panels, one row for each training: reward, parts of the reward, gap and sizes of the edits over the steps."}} tags=["hide-input"]
figures.curves([*groups, *models], window)

# %% tags=["hide-input"]
shown(
    rehearsal.ends([*groups, *models], window),
    "Where the curves begin and end: means over seeds of means over the first and the last 20 steps, with the least and the most seed. `pearson` is the Pearson part before it is weighted, `size` the genes that are averaged, `entropy` in nats a token.",
)

# %% [markdown]
# ## On test genes
#
# At the end every run answers one question about each test gene, greedily; no run has seen a test gene of any line it is evaluated on.
# Three comparisons say whether the training did something: the neighbourhood as the graphs give it, edits of the same sizes at random (three draws for each run, additions from the candidates that the question shows), and the warm start without GRPO.
# Scores are averaged over seeds for each gene, so that n is the number of genes; the tests are two-sided Wilcoxon signed-rank tests within a line, with Holm's correction over all comparisons on an atlas.

# %% [markdown] tags=["simulated"]
# ### In the simulation
#
# **Claim.** Trained edits gain ■ [■, ■] (K562) and ■ [■, ■] (RPE1) over the union, ■ and ■ over random edits, and ■ and ■ over the warm start; each of the six differences has p < ■ after Holm's correction.

# %% tags=["simulated"]
simulated = of_atlas(groups, "simulated")
scores = each(simulated, rehearsal.scores_beside_rules)
compared = each([scores], rehearsal.compared)

# %% mystnb={"figure": {"caption": "Gain in Pearson delta of the trained edits over the unedited union, random edits of the same size and the warm start, simulated, test genes, means over seeds. Points are mean differences, bars 95 % bootstrap intervals over genes; grey where the interval holds 0.", "name": "fig-rehearsal-gains-simulated"}, "image": {"alt": "Gains of the trained edits over three comparisons with intervals, one panel for each of two simulated cell lines."}} tags=["simulated", "hide-input"]
figures.gains(compared)

# %% tags=["simulated", "hide-input"]
shown(
    compared,
    "Mean Pearson delta of the trained edits and of what they are compared with on the same test genes, the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% [markdown] tags=["simulated"]
# In the simulation the right answer is known: neighbourhoods from every pair of genes that share a complex or a pathway, and from no other ([chapter 2d](02d_what_could_be_wrong.ipynb)).
#
# **Claim.** The trained edits go ■ [■, ■] (K562) and ■ [■, ■] (RPE1) of the way from the union to that graph.

# %% tags=["simulated", "hide-input"]
shown(
    each([scores], rehearsal.share_of_the_way),
    "Mean Pearson delta of the union, of the trained edits and of the true graph's neighbourhoods on test genes, and the share of the way from the first to the last, with its 95 % bootstrap interval over genes.",
)

# %% tags=["simulated", "hide-input"]
shown(
    each([scores], rehearsal.beside),
    "Every predictor on the same test genes, best first: mean Pearson delta with its 95 % bootstrap interval, and how far the trained edits lie above it. `best rule` was chosen on training perturbations among the rules that read one line.",
)

# %% [markdown] tags=["simulated"]
# ### On a simulation that no setting was chosen on
#
# Number of steps, learning rate, batch and length of the warm start were chosen by what about ten trials gained on the test genes above, so that those gains are somewhat too good.
# A second simulation (`simulated:seed=1`) draws hierarchy, graphs, effects and cells anew; the policies as they were trained on the first, and their warm starts, answer its test questions once.
#
# **Claim.** There the trained edits gain ■ [■, ■] (K562) and ■ [■, ■] (RPE1) over the union and ■ and ■ over the warm start; each of the six differences has p < ■ after Holm's correction.
# What was learnt is therefore about edges, and not about genes of one simulation.

# %% tags=["simulated", "hide-input"]
shown(
    each([each(fresh(simulated), run_scores.scores)], rehearsal.compared),
    "The same comparisons on test genes of a second simulation (seed 1), answered by the policies that were trained on the first.",
)

# %% [markdown] tags=["needs-data"]
# ### On PerturbQA's calls
#
# **Claim.** Trained edits gain ■ [■, ■] (K562), ■ [■, ■] (RPE1), ■ [■, ■] (HepG2) and ■ [■, ■] (Jurkat) over the union; ■ of the twelve comparisons have p < .05 after Holm's correction.
#
# Beside them stand fixed rules: the learnt affinity (`weighted`), the same with gaps filled (`weighted-filled`, the rule that training perturbations choose among those that read one line, [chapter 2e](02e_knowledge.ipynb)), the union over filled gaps (`filled`) and the 20 most similar genes in GO (`similar`).

# %% tags=["needs-data"]
real = of_atlas(groups, "perturbqa")
real_scores = each(real, rehearsal.scores_beside_rules)
real_compared = each([real_scores], rehearsal.compared)

# %% mystnb={"figure": {"caption": "Gain in Pearson delta of the trained edits over the unedited union, random edits of the same size and the warm start, PerturbQA (real), test genes, means over seeds. Points are mean differences, bars 95 % bootstrap intervals over genes; grey where the interval holds 0.", "name": "fig-rehearsal-gains"}, "image": {"alt": "Gains of the trained edits over three comparisons with intervals, one panel for each of four cell lines."}} tags=["needs-data", "hide-input"]
figures.gains(real_compared)

# %% tags=["needs-data", "hide-input"]
shown(
    real_compared,
    "Mean Pearson delta of the trained edits and of what they are compared with on the same test genes, PerturbQA (real), the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% tags=["needs-data", "hide-input"]
shown(
    each([real_scores], rehearsal.beside),
    "Every predictor on the same test genes, best first, PerturbQA (real): mean Pearson delta with its 95 % bootstrap interval, and how far the trained edits lie above it. `best rule` was chosen on training perturbations among the rules that read one line.",
)

# %% [markdown] tags=["needs-data"]
# The room is small: the union scores .590 to .688, and the best fixed rule that reads the same rows lies .019 to .056 above it.
# A fixed rule weighs all training genes at once, where an edit moves a few genes of equal weight in or out.

# %% [markdown] tags=["needs-replogle"]
# ### On Replogle's expression

# %% tags=["needs-replogle", "hide-input"]
expression = of_atlas(groups, "replogle")
shown(
    each([each(expression, run_scores.scores)], rehearsal.compared),
    "Mean Pearson delta of the trained edits and of what they are compared with on the same test genes, Replogle's expression (real), the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% [markdown]
# ## What was learnt
#
# An edit chooses among neighbours that could go and candidates that could come: those that the question shows, for the gene-edit model at most 24 neighbours and the 16 candidates that the graphs put closest.
# *Enrichment* is the share of a class of genes among what was chosen over its share among what was offered: 1 where the policy does not look at it.
# Classes are the graphs that gave a neighbour, the strength of its edge among all neighbours of the line, and whether the two genes share a complex: in the simulation one of its true complexes or pathways, else a complex of hu.MAP 2, which the policy is not shown by name.

# %% [markdown] tags=["simulated"]
# **Claim.** In the simulation the edits remove genes that share no complex or pathway with the target ■ [■, ■] times as often as they are offered, genes that both graphs give ■ [■, ■] times, and they add genes that share one ■ [■, ■] times as often.

# %% mystnb={"figure": {"caption": "Enrichment of classes of genes among neighbours that trained edits remove and candidates that they add, simulated, test genes of both lines, mean over seeds; in brackets the pairs of genes offered. Bars are 95 % bootstrap intervals over genes; grey where they hold 1.", "name": "fig-rehearsal-enrichment-simulated"}, "image": {"alt": "Enrichments on a logarithmic axis with intervals, classes of removed genes above and of added genes below."}} tags=["simulated", "hide-input"]
figures.enrichment(each(simulated, edits.enriched))

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, edits.sizes),
    "How much answers change on test genes: neighbours shown, genes added and removed (means over answers), and the share of answers without an edit.",
)

# %% [markdown] tags=["needs-data"]
# **Claim.** On PerturbQA the edits remove neighbours of the weakest third of edges ■ [■, ■] times as often as they are offered, genes of one hu.MAP complex with the target ■ [■, ■] times, and they add such genes ■ [■, ■] times as often.

# %% mystnb={"figure": {"caption": "Enrichment of classes of genes among neighbours that trained edits remove and candidates that they add, PerturbQA (real), test genes of four lines, mean over seeds; in brackets the pairs of genes offered. Bars are 95 % bootstrap intervals over genes; grey where they hold 1.", "name": "fig-rehearsal-enrichment"}, "image": {"alt": "Enrichments on a logarithmic axis with intervals, classes of removed genes above and of added genes below."}} tags=["needs-data", "hide-input"]
figures.enrichment(each(real, edits.enriched))

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, edits.sizes),
    "How much answers change on test genes, PerturbQA (real): neighbours shown, genes added and removed (means over answers), and the share of answers without an edit.",
)

# %% [markdown]
# ## Where it fails
#
# The test genes that lose most by their edits, whatever their line.
# A number in brackets says how many of the seeds made that move.
# The last column names what can be seen to be poor about an edit from complexes, sizes and gaps; where it is blank, nothing of that kind is to be seen.

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, edits.failures),
    "Test genes whose trained edits lose most Pearson delta against the unedited union.",
)

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, edits.failures),
    "Test genes whose trained edits lose most Pearson delta against the unedited union, PerturbQA (real).",
)

# %% [markdown]
# ## Reinforcement learning as a posterior over edits
#
# The paper reads its training as moving a model towards a posterior over edits.
# With a penalty of strength $\beta$ on the divergence from the policy at the start, $\pi_0$, the policy that maximises
#
# ```{math}
# \mathbb{E}_{e \sim \pi}\,[r(e)] - \beta\,\mathrm{KL}(\pi \,\|\, \pi_0)
# \qquad\text{is}\qquad
# \pi^*(e) = \tfrac{1}{Z}\,\pi_0(e)\,\exp\!\big(r(e)/\beta\big),
# ```
#
# a posterior with $\pi_0$ as prior and $\exp(r/\beta)$ as likelihood {cite:p}`fawkes2026`.
# Prime-RL's setting, and the one here, has no such penalty.
# Without it the optimum puts all mass on the edit of highest reward, and what keeps a policy short of that is that training stops: steps and learning rate play the part of $1/\beta$.
# So the trained policy's probability of an edit is no calibrated posterior mass: it is sharper the longer a run goes on, and which of several equally good edits is left depends on chance.
#
# How far the mass moved is read from answers that were drawn, 16 to each of 30 test genes of a line and run, before and after GRPO.
# The draws of the warm start, weighted by $\exp(r/\beta)$, give the posterior that a penalty of strength $\beta$ would have led to; the $\beta$ at which it earns what the trained policy's draws earn says how long the training was in those terms.
# The rewards are those on test genes, so that it counts only what carries over to them.

# %% [markdown] tags=["simulated"]
# **Claim.** In the simulation the share of drawn edits that help rises from ■ to ■ (K562) and from ■ to ■ (RPE1), and the draws to one question hold ■ different edits in place of ■; the mean reward is that of a posterior with $\beta$ = ■ [■, ■] and ■ [■, ■].

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, draws.spread),
    "Drawn answers before and after GRPO, means over test genes (n): draws to a question in each run, different edits among them, the share with the greedy answer's edit, the shares that help, hurt and change nothing, and the mean gap with its 95 % bootstrap interval.",
)

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, draws.implied_beta),
    "Mean reward of drawn answers before and after GRPO and of the best draw of the warm start, and the beta at which the warm start's draws, weighted by exp(reward / beta), earn as much as the trained policy's, with its 95 % bootstrap interval over test genes.",
)

# %% [markdown] tags=["needs-data"]
# **Claim.** On PerturbQA the share of drawn edits that help rises from ■ to ■ (K562), ■ to ■ (RPE1), ■ to ■ (HepG2) and ■ to ■ (Jurkat); the $\beta$ of such a posterior is ■ to ■.

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, draws.spread),
    "Drawn answers before and after GRPO, PerturbQA (real), means over test genes (n): draws to a question in each run, different edits among them, the share with the greedy answer's edit, the shares that help, hurt and change nothing, and the mean gap with its 95 % bootstrap interval.",
)

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, draws.implied_beta),
    "Mean reward of drawn answers before and after GRPO and of the best draw of the warm start, PerturbQA (real), and the beta at which the warm start's draws, weighted by exp(reward / beta), earn as much as the trained policy's, with its 95 % bootstrap interval over test genes.",
)

# %% [markdown]
# ### The same edit from three seeds
#
# Greedy answers are the modes of the three policies.
# A move that every seed makes is one that the reward singled out; a move of a single seed may be chance.

# %% [markdown] tags=["simulated"]
# **Claim.** In the simulation two seeds give the same edit for ■ [■, ■] (K562) and ■ [■, ■] (RPE1) of the genes, and their moves overlap by ■ and ■, those of random edits of the same sizes by ■ and ■; moves that more seeds make gain more alone.

# %% tags=["simulated", "hide-input"]
shown(
    each(simulated, edits.agreement),
    "How alike the edits of two seeds are on test genes: the share with the same edit, the Jaccard overlap of their moves (1 where neither moves a gene), and that of random edits of the same sizes, with 95 % bootstrap intervals over genes.",
)

# %% mystnb={"figure": {"caption": "Gap in Pearson delta of a single move, added to the unedited neighbourhood alone, by how many seeds make it, simulated, test genes. Points are means over genes, bars 95 % bootstrap intervals.", "name": "fig-rehearsal-votes-simulated"}, "image": {"alt": "Mean gap of single additions and removals against the number of seeds that make them."}} tags=["simulated", "hide-input"]
votes = each(simulated, edits.gain_by_votes)
figures.votes(votes)

# %% tags=["simulated", "hide-input"]
shown(
    votes,
    "Single moves by how many seeds make them: moves, test genes (n), mean gap of the move alone with its 95 % bootstrap interval over genes, and the share of moves with a gap above 0.",
)

# %% [markdown] tags=["needs-data"]
# **Claim.** On PerturbQA two seeds give the same edit for ■ to ■ of the genes; moves of all three seeds gain ■ [■, ■] (added) and ■ [■, ■] (removed) alone.

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, edits.agreement),
    "How alike the edits of two seeds are on test genes, PerturbQA (real): the share with the same edit, the Jaccard overlap of their moves (1 where neither moves a gene), and that of random edits of the same sizes, with 95 % bootstrap intervals over genes.",
)

# %% tags=["needs-data", "hide-input"]
shown(
    each(real, edits.gain_by_votes),
    "Single moves by how many seeds make them, PerturbQA (real): moves, test genes (n), mean gap of the move alone with its 95 % bootstrap interval over genes, and the share of moves with a gap above 0.",
)

# %% [markdown] tags=["simulated"]
# ## A language model on the same path
#
# **Claim.** SmolLM2 with LoRA, trained for ■ steps in ■ minutes, gains ■ [■, ■] (K562) and ■ [■, ■] (RPE1) over the union.
#
# The same code trains SmolLM2-135M on the brief prompt.
# One seed and few steps: it shows that the path works for a model that reads text, and a null result says nothing about a model that knows biology.

# %% tags=["simulated", "hide-input"]
texts = each(of_atlas(models, "simulated"), run_scores.scores)
shown(
    each([texts], rehearsal.compared),
    "Mean Pearson delta of the edits of the trained language model and of what they are compared with on the same test genes, the difference with its 95 % bootstrap interval, and the p of Wilcoxon's test before and after Holm's correction over this table.",
)

# %% [markdown]
# ## What this page does not show
#
# - The model is no language model with knowledge of biology; what it gains says what a reward over training perturbations can teach, and not what Qwen3-4B would gain. The run on H100s was not made here.
# - Three seeds show the spread between runs roughly, and intervals over genes do not hold it.
# - On calls the reward sees 1 to 2 % of the pairs, so that an advantage is mostly noise ([the first half](04_rl_training.ipynb)).
# - Enrichments say which genes went along with a choice, not which of them caused it: strength, graph and complex go together.
# - hu.MAP 2 is among the tables that the fixed rules weigh; the policy is shown STRING and GO.
