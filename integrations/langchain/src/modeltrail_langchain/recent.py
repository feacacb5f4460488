"""
A memory with an end.
"""

from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LIMIT = 4096


class Recent(Generic[K, V]):
    """
    What was put in last; what was put in first is forgotten when room runs out.

    Each operation is one of `OrderedDict` in C, so threads need no lock.

    Args:
        limit: How many values are kept.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._values: OrderedDict[K, V] = OrderedDict()
        self._limit = limit
        self.get = self._values.get

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: K, value: V) -> None:
        """
        Remember a value.
        """
        self._values[key] = value
        if len(self._values) > self._limit:
            with suppress(KeyError):  # another thread made room, too
                self._values.popitem(last=False)

    def pop(self, key: K) -> V | None:
        """
        Forget a value and return it, None if there is none.
        """
        return self._values.pop(key, None)
