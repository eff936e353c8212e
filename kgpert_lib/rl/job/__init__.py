"""The training job in Prime-RL: its files, what is wrong with them, its launch, its progress and its result."""
