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
# # 4 · Training a model to edit neighbourhoods: the reward and the environment
#
# ```{admonition} Key takeaways
# :class: tip
# - The reward has three parts: can the answer be read, how many of its proposals count, and does the edited neighbourhood predict better ([formulas](methods-reward)). Repeating what is there, markup and orders to pay add nothing, and an answer that cannot be read earns 0.
# - Half of the weight is on the prediction. In groups of 8 random edits the advantage then tells good edits from bad ones with a correlation of .545 [.512, .581] in the simulation and .167 [.118, .214] on PerturbQA's calls (n = 400 questions each); with equal thirds it is .346 [.310, .393] and .113 [.073, .153].
# - On calls most of the difference between two edits is noise: 1 to 2 % of the pairs of a perturbation and a readout gene were tested, and the reward sees those only. A search for edits on one half of the readout genes gains .251 [.208, .304] there and .068 [.045, .102] on the other half (n = 100).
# - SmolLM2, a model of 135 million parameters, writes no list in free text (0 of 96 answers), so that training could not start from it. Held to two lists it earns .270 [.247, .296] in the simulation and .269 [.259, .284] on PerturbQA (64 questions, 128 answers each), where no edit earns .25 and one random candidate about .5: a reward near .5 shows that a model keeps to the form, and no knowledge.
# - The training run on four H100s asks 3,372 questions about seven times each. The paper gives 192 hours for it; nothing of it was run here.
# ```
#
# The paper trains a language model to edit the neighbourhood that graphs give: an edit after which the neighbours' mean predicts better is rewarded, and the model's weights are moved towards such edits {cite:p}`fawkes2026`.
# The prompts and the parser are those of [chapter 3](03_langpert.ipynb).
# This page shows what an answer earns and why, runs the environment of the training against a small model, and lists the settings of the training run on H100s; [its second half](04b_rehearsal.ipynb) trains a small policy.
#
# Every question here is about a training perturbation, and the model's questions are about training perturbations that were held out of training (`split="validation"`): no test perturbation is read on this page.
# The answers come from SmolLM2, a model of 135 million parameters that **knows hardly any biology**: its rows are a floor and a test of the machinery.

# %% tags=["parameters"]
atlas = "perturbqa,simulated"
questions = 400
searches = 100
overlays = ["h100x4"]
price = 2.5
seed = 0

# %% tags=["hide-input"]
from IPython.display import HTML

from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.reward import ALPHA, BETA, Weights
from kgpert_lib.rl.tasks import Settings
from kgpert_lib.studies import environment, reward, rl_training, tables
from kgpert_lib.studies import rl_training_figures as figures
from kgpert_lib.studies.style import style

style()

# %% [markdown]
# ## One gene: from its neighbourhood to a reward
#
# A question shows a gene, its neighbourhood in the graphs, and candidates that may be added: training genes that the graphs put close to it.
# The answer names genes to add and genes to remove.
# What is left is averaged, and the reward asks whether that mean is closer to the measured effect than the mean of the unedited neighbourhood.
# No measured effect is in a prompt.
#
# The gene is picked by a rule that reads no score: the first question of the shuffled stream that the model answered with two whole lists, of which an addition and a removal count; where no answer has both, as on PerturbQA, the first with any edit that counts.
# Beside its answer stands the {term}`gold edit`, at most three moves of a greedy search on the measured delta itself; it shows what a reward can be, not what a model could know.

# %% tags=["needs-data", "hide-input"]
real = environment.recorded("perturbqa")
real_gene = rl_training.example(real)
HTML(rl_training.prompt(real_gene.question))

# %% [markdown]
# **The prompt, as the model gets it.** `Set` is the neighbourhood in STRING and GO, `List` what may be added.
# A small model gets this short form; a larger one is shown names and graphs beside every neighbour, and may think first.

# %% mystnb={"figure": {"caption": "One gene's way to its reward, PerturbQA (real), a held-out training gene. Left: the neighbours with the graphs that gave them, and what the model's answer and the gold edit do with each. Right: the texts of both, proposals that do not count, Pearson delta before and after, and the three weighted parts of the reward.", "name": "fig-training-gene"}, "image": {"alt": "A table of genes with the words kept, removed or added for the answer of SmolLM2 and for the gold edit; beside it the text of the answer, bars of the Pearson delta of the unedited and both edited neighbourhoods, and stacked bars of format, validity and Pearson part with the reward."}} tags=["needs-data", "hide-input"]
figures.one_gene(real_gene)

# %% [markdown] tags=["simulated"]
# ### The same in the simulation
#
# In the simulated atlas every readout gene is measured, and its two graphs are the simulation's own ([chapter 1](01_causal_model.ipynb)).
# Names are real, numbers are not.

# %% tags=["simulated", "hide-input"]
simulated = environment.recorded("simulated")
simulated_gene = rl_training.example(simulated)
HTML(rl_training.prompt(simulated_gene.question))

# %% mystnb={"figure": {"caption": "One gene's way to its reward in the simulation, a held-out training gene. Left: the neighbours with the graphs that gave them, and what the model's answer and the gold edit do with each. Right: the texts of both, proposals that do not count, Pearson delta before and after, and the three weighted parts of the reward.", "name": "fig-training-gene-simulated"}, "image": {"alt": "A table of genes with the words kept, removed or added for the answer of SmolLM2 and for the gold edit, with the text of the answer, bars of the Pearson delta and stacked bars of the reward's parts."}} tags=["simulated", "hide-input"]
figures.one_gene(simulated_gene)

# %% [markdown]
# ## The reward: three parts
#
# For a perturbation with the neighbourhood $N$ among the training perturbations $P$, an answer proposes additions $A$ and removals $R$, and the edited set is $S = (N \cup A) \setminus R$.
#
# ```{math}
# \begin{aligned}
# r &= \tfrac14\, F + \tfrac14\, V + \tfrac12\, C \\
# V &= \frac{|A \cap (P \setminus N)| + |R \cap N|}{|A| + |R|} \\
# C &= (1 - \beta)\,\mathrm{clip}(\alpha g, -1, 1) + \beta\,\mathrm{sign}(g)
# \end{aligned}
# ```
#
# - **Format** $F$ is 1 where both lists can be read to their end, else 0, and then the other parts are 0 too.
# - **Validity** $V$ is the share of proposals that count; it is 0 where nothing is proposed.
# - **Pearson part** $C$ scores the {term}`gap` $g$: the Pearson delta of the mean over $S$ minus that of the mean over $N$. Here $\alpha = 8$ and $\beta = 0.1$.
#
# The paper names the three parts, a scaled gap and a term in its sign, and takes the mean of the parts.
# The formulas of validity and of the Pearson part are reconstructed, and the published $\alpha$ and $\beta$ are lost; that the Pearson part has half of the weight is ours ([methods](methods-reward)).
#
# **Claim.** An edit earns by predicting better: repeating what is there, markup and orders to pay add nothing, and an answer that cannot be read earns 0.

# %% tags=["simulated", "hide-input"]
caption = (
    "What answers of each kind earn on one question, the first of the stream with two neighbours or more and a gold "
    "edit that adds a gene. Texts are judged as a model's would be and shortened here."
)
kinds = rl_training.kinds_of_answers(simulated.settings)
tables.shown(kinds, caption)

# %% [markdown]
# No edit earns the quarter of the format part, so a model that only keeps to the form earns .25.
# A whole and valid answer that predicts worse earns from 0 upwards: with a larger share of the Pearson part it could earn less than an answer that cannot be read, and refusing would pay.
#
# ### Which weights, alpha and beta
#
# **Claim.** With half of the weight on the Pearson part the advantage says more about what an edit is worth than with equal thirds: .545 [.512, .581] against .346 [.310, .393] in the simulation, .167 [.118, .214] against .113 [.073, .153] on PerturbQA, where the intervals overlap (n = 400 questions each). A larger share would say more still, .657 and .210 at 1, and would make refusing pay.
#
# {term}`GRPO` compares the answers to one question with each other, so what a reward is worth is how well differences within a group tell good edits from bad ones.
# Random edits are drawn in groups of 8 for training perturbations; some name no gene, some cannot be read.
# The reward scores them on one half of the readout genes, and their worth is the gap on the other half, which the reward did not see.
# *Signal to noise* is the correlation, within groups, of {term}`advantage` and worth.

# %% tags=["simulated"]
drawn = Settings(atlas="simulated", seed=seed)
groups = reward.random_groups(drawn, questions, seed)
shapes = reward.shapes(groups, Weights(), seed)
shares = reward.shares(groups, ALPHA, BETA, seed)

# %% mystnb={"figure": {"caption": "Signal to noise of the advantage within groups of 8 random edits in the simulation, by alpha and beta (left; the frame marks the defaults) and by the share of the Pearson part at the default alpha and beta (right; band: 95 % bootstrap interval over questions). Right of the orange line a readable, valid answer can earn less than an unreadable one.", "name": "fig-training-signal-simulated"}, "image": {"alt": "A heat map of signal to noise by alpha and beta with its highest values at alpha 8 and small beta, and a line that rises with the share of the Pearson part, steeply up to one half."}} tags=["simulated", "hide-input"]
name = rl_training.atlas_of(drawn)
part = Weights().shares()["pearson"]
figures.signal(shapes, shares, name, ALPHA, BETA, part)

# %% tags=["needs-data"]
called = Settings(atlas="perturbqa", seed=seed)
call_groups = reward.random_groups(called, questions, seed)
call_shapes = reward.shapes(call_groups, Weights(), seed)
call_shares = reward.shares(call_groups, ALPHA, BETA, seed)

# %% mystnb={"figure": {"caption": "Signal to noise of the advantage within groups of 8 random edits on PerturbQA's calls (real), four lines, by alpha and beta (left; the frame marks the defaults) and by the share of the Pearson part (right; band: 95 % bootstrap interval over questions). Right of the orange line a readable, valid answer can earn less than an unreadable one.", "name": "fig-training-signal"}, "image": {"alt": "A heat map of signal to noise by alpha and beta, flat between alpha 8 and 16 at small beta, and a line that rises with the share of the Pearson part; all values are much lower than in the simulation."}} tags=["needs-data", "hide-input"]
name = rl_training.atlas_of(called)
part = Weights().shares()["pearson"]
figures.signal(call_shapes, call_shares, name, ALPHA, BETA, part)

# %% [markdown]
# What it means: the reward needs a scale of the gap at which typical gaps are neither lost beside the other parts nor cut off.
# An alpha of 8, which cuts gaps off at .125, is among the best values on both atlases, and its neighbours 4 and 16 are close.
# The sign alone (beta = 1) reaches .324 and .125; a small beta costs nothing that shows here, and the paper's reward has such a term.
# On calls even the Pearson part alone reaches .210 [.156, .266]: the gap on one half of the few tested readout genes says little about the gap on the other half.
# An advantage on calls is mostly noise, which many questions have to average out.
# `python -m kgpert_lib.studies.reward` chooses the defaults on more questions.
#
# ### How much of a gap is there on other readout genes
#
# **Claim.** On calls a search gains .251 [.208, .304] on the readout genes that it sees and .068 [.045, .102] on the others; in the simulation .115 [.094, .146] and .086 [.062, .123] (n = 100 questions each).
#
# The search behind the gold edit takes its moves on one half of the readout genes and is scored on both.
# A model is no search and cannot fit a single question, but what it earns on its training questions has the same two parts: what holds for the perturbation, and what holds for the readout genes that happened to be tested.

# %% tags=["simulated", "hide-input"]
caption = (
    "Mean gap of edits by a greedy search of three moves on one half of the readout genes, with 95 % bootstrap "
    "intervals over n training perturbations."
)
both = reward.searched(drawn, searches, seed)
tables.shown(both.assign(atlas=drawn.atlas), caption)

# %% tags=["needs-data", "hide-input"]
caption = (
    "Mean gap of edits by a greedy search of three moves on one half of the readout genes, PerturbQA (real), with 95 % "
    "bootstrap intervals over n training perturbations."
)
tables.shown(reward.searched(called, searches, seed), caption)

# %% [markdown]
# ## The environment, run against a small model
#
# The environment is a [Verifiers](https://github.com/PrimeIntellect-ai/verifiers) taskset in `env/kgpert/`; trainer and evaluation read the same prompts, parser and reward.
# `python -m kgpert_lib.studies.environment` serves SmolLM2, runs `vf-eval` on held-out training perturbations, two answers to each question, and keeps texts and scores in `data/environment/`.
# This page reads them and judges every answer again.
#
# **Claim.** In free text none of 96 answers holds two whole lists, so every answer earns 0 and no group has an advantage; held to the two lists by the server, 254 of 256 can be read.

# %% tags=["simulated", "hide-input"]
free = environment.recorded("simulated-free")
caption = (
    "How SmolLM2's answers turned out in `vf-eval`, by whether the server held the model to the two lists. "
    "`different rewards`: questions whose two answers earn different rewards; the others give a trainer nothing. "
    "`judged equal`: answers that earn what the run recorded when this page judges them again."
)
forms = ["held to two lists", "free text"]
tables.shown(rl_training.outcomes([simulated, free], forms), caption, digits=1)

# %% tags=["needs-data", "hide-input"]
real_free = environment.recorded("perturbqa-free")
caption = "How SmolLM2's answers to questions turned out, PerturbQA (real), four lines; columns as in the table before."
forms = ["held to two lists", "free text"]
tables.shown(rl_training.outcomes([real, real_free], forms), caption, digits=1)

# %% [markdown]
# ### What the small model earns, beside chance and beside the gold edit
#
# **Claim.** Held to the form, the model's edits predict no better than the graphs: the mean gap is .002 [−.008, .015] in the simulation and .000 [−.001, .002] on PerturbQA (64 questions each). Its reward, .270 [.247, .296] and .269 [.259, .284], is that of no edit (.250) and a little for names that happen to count.
#
# Random edits add and remove as many genes as the answer did, drawn from the candidates of the prompt and from the neighbourhood.

# %% tags=["simulated", "hide-input"]
caption = (
    "What answers to the same questions earn, with 95 % bootstrap intervals over questions. "
    "`format` is the share that can be read. The gold edit is a search on the measured delta: it is no prediction."
)
table = rl_training.compared(simulated, seed)
tables.shown(rl_training.earned(table, seed), caption)

# %% tags=["needs-data", "hide-input"]
caption = (
    "What answers to the same questions earn, PerturbQA (real), four lines, with 95 % bootstrap intervals over questions. "
    "`format` is the share that can be read. The gold edit is a search on the measured delta: it is no prediction."
)
table = rl_training.compared(real, seed)
tables.shown(rl_training.earned(table, seed), caption)

# %% tags=["simulated", "hide-input"]
caption = "What became of SmolLM2's proposals in answers that were read whole."
tables.shown(rl_training.fates(simulated), caption)

# %% tags=["needs-data", "hide-input"]
caption = "What became of SmolLM2's proposals in answers that were read whole, PerturbQA (real)."
tables.shown(rl_training.fates(real), caption)

# %% [markdown]
# Three quarters of the proposals are no human genes, and one in twelve counts.
# Random edits of the same size earn more than the model, .299 [.278, .325] and .317 [.295, .342], because all of their proposals count; their gap is not distinguishable from 0 either.
# One random candidate earns .479 [.431, .524] and .498 [.465, .526] with a gap near 0: format and validity together are half of the reward, and a model that learns only to name one candidate reaches that.
# What is above .5 has to come from the prediction, and the gold edit shows how far that could go on the readout genes that it sees: .793 [.749, .835] and .851 [.787, .898].
#
# ## What would run on H100s
#
# The job is in `env/prime_rl/`; [its page](../book/prime_rl.md) says how to install, check, start and watch it.
# It was loaded by Prime-RL's own classes and never run on a GPU.
# These are its settings for four cards as the files and Prime-RL's defaults resolve them.

# %% tags=["hide-input"]
settings = job.read(job.job_files(overlays))
caption = (
    "Settings of the training run: `file` where the job's files say so, `default` where Prime-RL's default holds, "
    "which the paper leaves as they are."
)
tables.shown(job.resolved(settings), caption)

# %% tags=["needs-data", "hide-input"]
caption = (
    "How much is asked, PerturbQA (real): questions, tokens of the longest prompt by an estimate from above, and how "
    "often the run asks each question."
)
tables.shown(rl_training.asked(settings), caption, digits=1)

# %% tags=["hide-input"]
caption = (
    f"Hours and cost of the run at {price:.2f} US dollars for an hour of one H100. The paper gives 192 hours and not "
    "whether of a card or on the clock; the last row is our estimate from assumed speeds. Nothing here was measured."
)
tables.shown(job.expected(settings, price), caption, digits=0)

# %% [markdown]
# ## What this page does not show
#
# - **No model is trained on this page.** A rehearsal on two CPU cores is in [the second half](04b_rehearsal.ipynb); the run on H100s was not made, and the paper's own figures are quoted beside ours in [chapter 5](05_results.ipynb).
# - The answers are SmolLM2's, which was not made for this and is thirty times smaller than the model of the training run; they say nothing about that model.
# - The signal to noise of the reward was measured on random edits. A model's edits are not random, and its groups may differ more or less.
# - The gold edit sees the answer; on calls about a quarter of what a search gains is there on readout genes that it did not see ([chapter 2d](02d_what_could_be_wrong.ipynb) takes additions and removals apart).
# - Hours and cost are estimates with their assumptions beside them.
