"""
Names of things: every identifier has a type of its own, so that two of them cannot be swapped.
"""

from typing import NewType

SessionId = NewType("SessionId", str)
TurnId = NewType("TurnId", str)
InputId = NewType("InputId", str)
ClaimId = NewType("ClaimId", str)
BatchId = NewType("BatchId", str)
EffectId = NewType("EffectId", str)
CallId = NewType("CallId", str)
FrameId = NewType("FrameId", str)
NodeId = NewType("NodeId", str)
AppendId = NewType("AppendId", str)

Position = NewType("Position", int)
"""0-based index of a fact in its stream."""

Version = NewType("Version", int)
"""How many facts a stream holds; also the position that the next one will get."""

Revision = NewType("Revision", int)
"""How many commits a session has seen: the seed's head revision."""

Generation = NewType("Generation", int)
"""Fencing number of a session lease: the first holder writes 1, and it never falls."""
