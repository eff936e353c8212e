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
# # A small model picks genes no better than chance, and gene names alone carry much of what graphs know
#
# ```{admonition} Key takeaways
# :class: tip
# - A language model of 135 million parameters, asked for the genes that act together with a knocked-down gene, mostly copies the head of the list that it is offered, and its picks predict no better than random picks from that list; in K562 they predict worse.
# - Edited by that model, the graphs' neighbourhoods predict no better than unedited ones; nearly half of the names that it gives there are no genes.
# - A rule that knows only how genes are called, and no biology, recovers more than half of what the graphs gain over the training mean on real calls: families share names, and names were given for function.
# - So a model that proposes genes of one name family shows no knowledge by it; it has to beat the name rule, the random rows and the graphs, which all stand beside it here.
# - Every answer is recorded and every proposal that does not count is counted by its reason; a larger model is asked with one command.
# ```
#
# LangPert asks a language model which of the measured knock-downs resemble an unmeasured one, and averages their effects {cite:p}`martens2025`.
# The formula is that of the [previous chapter](02_graph_neighbours.ipynb); only the neighbours come from another place.
# The paper compares the two and then combines them: a model edits the neighbourhood that graphs give {cite:p}`fawkes2026`.
# This chapter builds both, together with the controls that tell what a model's knowledge is worth.
#
# The answers on this page come from SmolLM2, a model of 135 million parameters that runs on any laptop.
# It writes fluent English and knows hardly any biology: **what it answers about genes is a test of the machinery and a floor**, not a statement about language models.
# The paper asked Gemini 2.5 Pro and Claude Sonnet 4; whoever has a key or a GPU asks a larger model with one command and sees it on this page beside the small one (last section).
# Every answer was recorded once and is read from `data/answers/`; the page asks nobody, and counts what is missing.

# %% tags=["parameters"]
atlas = "perturbqa,simulated"
lines = ["k562", "rpe1"]
models = ["smollm2"]
genes = 100
graph = "string+go"
limit = 20
cut = "before"
prior = 1.0
draws = 5
seed = 0

# %%
from IPython.display import HTML

from kgpert_lib.evaluation import summaries
from kgpert_lib.llm.proposals import open_record
from kgpert_lib.llm.setting import setting
from kgpert_lib.screens.load import load_screen
from kgpert_lib.studies import langpert
from kgpert_lib.studies import langpert_figures as figures
from kgpert_lib.studies.graph_neighbours_figures import predictor_scores
from kgpert_lib.studies.style import style

style()
record = open_record()

# %% [markdown]
# ## What is asked
#
# The questions are about `genes` test genes a line, chosen by a rule that no result can bend: the smallest SHA-256 of seed and name.
# A question holds the gene, its full name, its most specific GO terms, the cell line and candidates among the training genes.
# The screens have about 1,600 training genes, and a list of them does not fit the small model's context: it is offered those that STRING and GO put closest to the gene, in alphabetical order.
# A larger model gets the whole list, room to think first, and up to 20 genes to choose.
# No measured effect is in any prompt: a test turns every delta around and finds each prompt unchanged.

# %% tags=["needs-data"]
screen = load_screen("perturbqa", lines, graph)
asked = setting(screen, genes, limit, cut, prior, seed)
told = langpert.read(asked, models, record)
view, shown = asked.atlas.view(lines[0]), asked.atlas[lines[0]].names("test")
print(asked.predictor("edits", models[0], record).questions(view, shown)[2].prompt.messages[1]["content"])

# %% [markdown]
# **The question about one neighbourhood, as the small model gets it.**
# `Set` is the neighbourhood in STRING and GO, `List` what may be added.
# The templates are in `kgpert_lib/llm/prompts/`; the paper's own prompts are not part of the text that we have, so these are reconstructed.

# %% [markdown]
# ## What the small model answers
#
# **Claim.** The small model keeps to the form and copies gene names from the list, with inventions in between; asked for two lists at once, it loses the thread.

# %% tags=["needs-data"]
HTML(langpert.quotations(told["langpert", models[0]].proposals(view, shown), most=8))

# %% [markdown]
# **Table: the first answers of SmolLM2 to LangPert's question, K562, word for word.**
# `counts` is what is left after names are resolved, and repetitions, the gene itself, invented names and genes without a training knock-down are dropped.

# %% tags=["needs-data"]
summaries.formatted(langpert.counts(told), digits=1)

# %% [markdown]
# **Table: how the answers turned out, PerturbQA (real), 100 test genes a line.**
# `missing` counts questions without a recorded answer, `unreadable` answers in which no list was found, `cut off` lists without an end, `nothing left` genes that got the training mean because no gene was left to average.

# %% mystnb={"image": {"alt": "Stacked bars of the share of proposals by what became of them, in K562 and RPE1. For LangPert about three quarters count and most of the others are no human gene; for edits about a quarter counts and nearly half are no human gene."}} tags=["needs-data"]
figures.fates(langpert.fates(told), screen.name, screen.kind)

# %% [markdown]
# **Figure: what became of every proposal, by task and line, PerturbQA (real); n is the number of proposals.**
# Green counts; the other colours are the reasons for which a proposal is ignored.
# `not a training gene` are human genes whose knock-down was not measured in that line or is held out: proposals outside the training set.

# %% [markdown]
# ## Proposals inside the graphs
#
# **Claim.** The model's genes lie inside the graphs somewhat less often than the genes that it was offered: its choice knows nothing that the list did not.
#
# The paper reports that about half of Gemini's genes and a third of Claude's lie inside the union of its four graphs, and that predicting from those alone loses nothing noticeable.
# A model that chooses from a list which graphs have drawn up starts high, so the grey bar is the share among all genes that it was offered: what choosing blindly gives.

# %% mystnb={"image": {"alt": "Bars of the share of genes inside the union of the graphs, in K562 and RPE1: about two thirds of the genes offered, somewhat fewer of the small model's, and the published shares of about 50 % for Gemini 2.5 Pro and 30 % for Claude Sonnet 4."}} tags=["needs-data"]
figures.inside_graphs(langpert.inside_graphs(asked, told))

# %% [markdown]
# **Figure: share of LangPert's genes that an edge of STRING or GO joins to the gene asked about, PerturbQA (real); n is the number of genes.**
# Hatched: published figures for two large models, with the paper's four graphs and the whole training set to choose from; they are not comparable in detail.

# %% [markdown]
# ## LangPert against graph neighbours and against names
#
# **Claim.** With the small model LangPert stays at the training mean, and random picks from the same list are as good or better; the graphs gain clearly, and name prefixes more than half as much.
#
# - `training mean` and `string+go` are those of the previous chapter, here on the same 100 genes;
# - `name prefix` knows no biology: it averages the training genes whose symbols begin with the same letters, so MRPL27 gets every MRPL gene;
# - `inside graphs` keeps only those of the model's genes that an edge confirms;
# - `first offered genes` and `random offered genes` take as many genes as the model did, from the head of the same list or at random; `random training genes` draws them from all training genes. Random rows are means over `draws` draws.

# %% tags=["needs-data"]
scores = langpert.langpert_scores(asked, told, draws)
summary = summaries.scores(scores, seed=seed)

# %% mystnb={"image": {"alt": "Mean Pearson delta with intervals of eight predictors in K562 and RPE1. The graphs are highest, the name prefix rule second; LangPert with the small model, the first offered and random offered genes lie near the training mean, random training genes below it."}} tags=["needs-data"]
predictor_scores(summary)

# %% [markdown]
# **Figure: mean Pearson delta of LangPert, its controls and the graphs on held-out genes, PerturbQA (real), K562 and RPE1.**
# Points are means over the test genes, bars 95 % bootstrap intervals over them, the dashed line is the training mean.

# %% tags=["needs-data"]
summaries.formatted(summary.drop(columns=["atlas", "kind", "split"]))

# %% [markdown]
# **Table: the same scores with centred Pearson delta and retrieval, PerturbQA (real).**
# `fallback` counts genes that got the training mean; intervals are 95 % bootstrap intervals over genes.

# %% tags=["needs-data"]
summaries.formatted(summaries.paired_tests(scores, reference="training mean", seed=seed))

# %% [markdown]
# **Table: gain in Pearson delta over the training mean, PerturbQA (real), paired over the same genes.**
# Two-sided Wilcoxon signed-rank tests, Holm-corrected within a line.

# %% tags=["needs-data"]
mine = scores[scores["predictor"].str.contains("LangPert|offered|string")]
summaries.formatted(summaries.paired_tests(mine, reference=f"LangPert ({models[0]})", seed=seed))

# %% [markdown]
# **Table: the graphs and LangPert's controls against LangPert itself, PerturbQA (real), paired over the same genes.**
# Tests as above.
#
# What it means: candidates from the graphs' wider neighbourhood carry some information whoever draws from them, and the model's draw adds none.
# In K562 it even loses to random picks: the head of an alphabetical list is a poor sample of it.
# Keeping only the picks that an edge confirms does not lower the score, as the paper found for large models; in RPE1 it raises it a little.
# The strong row is `name prefix`. Symbols were given to genes by function, so spelling is knowledge, and a model that answers MRPL3, MRPL9 and MRPL11 for MRPL27 may have read no more than the name.

# %% [markdown]
# ## Edits of a neighbourhood by an untrained model
#
# **Claim.** The small model's edits change little and help in neither line; random edits of the same size do about as well.
#
# This is the row `LLM + KG` of the paper's Table 1, which Gemini 2.5 Pro filled there: the model sees the graphs' neighbourhood, adds genes to it and removes others, and what is invalid is ignored.
# `random` rows make as many additions and removals as the model, blindly; `KG + name prefix` adds every training gene with the same prefix.

# %% tags=["needs-data"]
edited = langpert.edit_scores(asked, told, draws)
edits = summaries.scores(edited, seed=seed)

# %% mystnb={"image": {"alt": "Mean Pearson delta with intervals of the training mean, the graphs and four kinds of edited neighbourhoods in K562 and RPE1; all edited rows lie close to the unedited graphs."}} tags=["needs-data"]
predictor_scores(edits, reference="string+go")

# %% [markdown]
# **Figure: mean Pearson delta of edited neighbourhoods on held-out genes, PerturbQA (real), K562 and RPE1.**
# Points are means over the test genes, bars 95 % bootstrap intervals over them; the dashed line is the unedited union of STRING and GO.

# %% tags=["needs-data"]
summaries.formatted(summaries.paired_tests(edited, reference="string+go", seed=seed))

# %% [markdown]
# **Table: edits against the graphs' own neighbourhoods, Pearson delta, PerturbQA (real), paired over the same genes.**
# Two-sided Wilcoxon signed-rank tests, Holm-corrected within a line.
#
# What it means: the machinery of editing works, down to the counting of what is ignored, and an editor without knowledge gains nothing.
# In K562 the mean falls a little, by less than the paired test can tell from nothing.
# Adding every gene of the same name family is not better than the graphs either: what names know, the graphs mostly know already.

# %% [markdown]
# ## The same on simulated lines, where all effects are measured
#
# **Claim.** On a simulated line the order is the same: the simulation's own graphs gain, the small model's picks and random picks fall behind the training mean, and its edits change nothing that matters.
#
# The simulated K562 line has real gene names, and its hierarchy comes from real complexes and pathways; its numbers are made up ([chapter 1](01_causal_model.ipynb)).
# Its two graphs are the simulation's own, incomplete and partly false, and every readout gene is measured, so the prior is 0: the paper's plain mean.

# %%
simulated = load_screen("simulated", lines[:1])
asked_simulated = setting(simulated, genes, limit, cut, None, seed)
told_simulated = langpert.read(asked_simulated, models, record)
summaries.formatted(langpert.counts(told_simulated), digits=1)

# %% [markdown]
# **Table: how the answers turned out, simulated K562, 100 test genes.**

# %%
scores_simulated = langpert.langpert_scores(asked_simulated, told_simulated, draws)
summaries.formatted(summaries.scores(scores_simulated, seed=seed).drop(columns=["kind", "split"]))

# %% [markdown]
# **Table: LangPert, its controls and the graphs on held-out genes, simulated K562; 95 % bootstrap intervals over genes.**

# %%
summaries.formatted(summaries.paired_tests(scores_simulated, reference="training mean", seed=seed))

# %% [markdown]
# **Table: gain in Pearson delta over the training mean, simulated K562, paired over the same genes.**
# Two-sided Wilcoxon signed-rank tests, Holm-corrected.

# %%
edited_simulated = langpert.edit_scores(asked_simulated, told_simulated, draws)
summaries.formatted(summaries.scores(edited_simulated, seed=seed).drop(columns=["kind", "split"]))

# %% [markdown]
# **Table: edited neighbourhoods on held-out genes, simulated K562; 95 % bootstrap intervals over genes.**
#
# What it means: with every readout gene measured and no prior, a mean over three or four genes carries their noise and their private effects, so that a set has to be well chosen to beat the mean of all.
# Centred Pearson delta shows that picks from the offered list are not without information; it is the list that has it, since random picks from it have about as much.
# The name rule gains less here than on real calls, though its centred score is about the same.

# %% [markdown]
# ## Ask another model
#
# - `kgpert serve` serves the small model, or with `--engine vllm` Qwen3-4B-Instruct-2507 on a GPU; `kgpert record --model qwen3-4b` asks it the questions of this page, writes down every answer and adds them to `data/answers/`.
# - `kgpert record --model gemini-2-5-pro --budget 5` stops before five dollars are spent; the key stays in the environment.
# - `make book CHAPTERS=03 SET="models=[smollm2,qwen3-4b]"` then shows both side by side, each beside random sets of its own sizes.
# - What this page cannot say is what a large model would reach here; the published scores of the paper were measured on expression, not on calls, and stand in the [overview](../book/index.md).
