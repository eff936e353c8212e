"""Traces as if a model had answered."""

from __future__ import annotations

import asyncio

import verifiers.v1 as vf


def trace(task: vf.Task, *replies: str | None) -> vf.Trace:
    """The trace of a task from the replies of a model, of which None is an empty one."""
    row = vf.TraceTask(type=type(task).__name__, data=task.data, key=task.key, hash=task.hash)
    nodes = [
        vf.MessageNode(message=vf.AssistantMessage(content=text), sampled=True, parent=i - 1 if i else None)
        for i, text in enumerate(replies)
    ]
    agent = vf.AgentInfo(config=vf.AgentConfig(), name="agent", trainable=False)
    return vf.Trace(task=row, state=vf.State(), agent=agent, nodes=nodes)


def scored(task: vf.Task, *replies: str | None) -> vf.Trace:
    """The same, scored as a rollout is."""
    answered = trace(task, *replies)
    asyncio.run(task.score(answered))
    return answered


def parts(answered: vf.Trace) -> dict[str, float]:
    """Rewards by name."""
    return {name: reward.score * reward.weight for name, reward in answered.rewards.items()}
