"""The simulated screen: a hierarchical causal model down to single cells."""
