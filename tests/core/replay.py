"""
Play pickled commands in this process, and print every fact and state that they lead to.

``test_laws.py`` runs it under several hash seeds: what is printed has to be the same.
"""

import pickle
import sys
from collections.abc import Iterable

from lash_es.core.commands import Command
from lash_es.verify.spec import given


def replayed(lives: Iterable[Iterable[Command]]) -> str:
    lines: list[str] = []
    for life in lives:
        story = given()
        for command in life:
            decision = story.when(command)
            story = decision.afterwards
            lines += [repr(decision.found), repr(decision.state), repr(decision.known.entries)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(replayed(pickle.loads(sys.stdin.buffer.read())))
