"""
Does another implementation decide as this one does? Vectors to check it against, and a runner.

A *vector* is a history in Kubernetes manifests: what is asked, step by step, and
what must be observable after each. ``run`` starts an implementation in any
language and puts the vectors to it, as lines of JSON; ``answer`` is what this
library answers to such a line.
"""

from ._answer import answer
from ._runner import Difference, Outcome, run
from ._vectors import Step, Vector, load

__all__ = ["Difference", "Outcome", "Step", "Vector", "answer", "load", "run"]
