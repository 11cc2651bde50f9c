"""Runs that several tests look at: what they left behind, made once."""

from functools import cache

from lash_es import MemoryStore
from lash_es.verify.evidence import Evidence
from lash_es.verify.simulation import simulate
from lash_es.verify.workloads import PROFILES, workload

FAST = PROFILES["fast"]
SEEDS = range(16)
UNFENCED_SEED = 95
"""One of those in which an owner that was frozen writes after it was taken over."""


@cache
def evidence_of(seed: int) -> Evidence:
    return simulate(workload(seed, FAST), MemoryStore())
