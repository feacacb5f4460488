"""
How each peer is hooked into each framework, as its makers document it.

A module has one function for each framework that the catalogue names, and `records`
if its store is filled without a framework. Addresses and keys come from the environment.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


def nothing() -> None:
    """
    Do nothing.
    """


class Handler(NamedTuple):
    """
    A peer that is in place.

    Attributes:
        callbacks: What the framework is handed with each call; most hook themselves in.
        flush: Asks it to deliver what it has; nothing if it can only be waited for.
        record: Records one call without a framework, for those that are asked to.
    """

    callbacks: Sequence[Any] = ()
    flush: Callable[[], object] = nothing
    record: Callable[[], object] = nothing
