"""The training rehearsed on two CPU cores: small models, the tasks and the reward of every trainer, GRPO by TRL (ours).

Only `prompts` can be imported without torch, transformers and trl.
"""
