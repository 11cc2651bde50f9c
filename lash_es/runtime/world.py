"""
Every non-determinism has a name here: ids, salts, sleep, and the monotonic clock.

The time of commands is the log's (``Log.now_ms``). A simulation hands in a world of its own.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

from attrs import frozen

from lash_es.core.bodies import SALT_BYTES
from lash_es.log import machines


def system_now_ms() -> int:
    """Tell the system's time, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def system_monotonic_ms() -> int:
    """
    Tell a time that never falls and means nothing outside this boot, in milliseconds.

    It goes on while the machine sleeps: an owner that overslept its lease must know.
    """
    return machines.running_ms()


def system_monotonic_ns() -> int:
    """Tell a time that never falls, finely enough to measure a commit by."""
    return time.monotonic_ns()


def random_token() -> str:
    """Mint 128 random bits as text: for ids and lease tokens."""
    return secrets.token_hex(16)


def random_salt() -> bytes:
    """Mint a body's salt."""
    return secrets.token_bytes(SALT_BYTES)


async def system_sleep_ms(duration_ms: int) -> None:
    """Sleep on the event loop."""
    await asyncio.sleep(duration_ms / 1000)


@frozen(kw_only=True)
class World:
    """What a runtime may not compute. Each part can be replaced on its own."""

    monotonic_ms: Callable[[], int] = system_monotonic_ms
    monotonic_ns: Callable[[], int] = system_monotonic_ns
    boot_id: Callable[[], str] = machines.boot_id
    sleep_ms: Callable[[int], Awaitable[None]] = system_sleep_ms
    token: Callable[[], str] = random_token
    salt: Callable[[], bytes] = random_salt
