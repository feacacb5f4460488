"""
What becomes of a handler that is pickled.
"""

from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from langchain_core.callbacks import BaseCallbackHandler

# A handler is named when it is first pickled.
_named: WeakValueDictionary[str, BaseCallbackHandler] = WeakValueDictionary()


def reduced(handler: BaseCallbackHandler) -> tuple[Any, ...]:
    """
    Return what pickle keeps of a handler: a name.
    """
    name = next((name for name, known in _named.items() if known is handler), None)
    if name is None:
        name = uuid4().hex
        _named[name] = handler
    return restored, (name,)


def restored(name: str) -> BaseCallbackHandler:
    """
    Return the handler that was pickled.

    In another process it is the one that `install` attaches to a trail there,
    before or after; until then it records nothing.
    """
    from modeltrail_langchain.everywhere import EVERYWHERE

    return _named.get(name, EVERYWHERE)
