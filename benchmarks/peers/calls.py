"""
One call of each framework, with a peer hooked in; runs in the peer's environment.
"""

from collections.abc import Callable
from importlib import import_module

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.handlers import Handler
from benchmarks.workload import ANSWER, METADATA, MODEL, PROMPT, SYSTEM

Call = Callable[[], object]


def prepare(peer: str, way: str) -> tuple[Handler, Call]:
    """
    Hook a peer in.

    Args:
        way: A framework, or `records` for none.

    Returns:
        The peer, and what makes one call.
    """
    module = import_module(f"benchmarks.peers.handlers.{PEERS[peer].module}")
    handler: Handler = getattr(module, way)()
    return handler, CALLS[way](handler)


def _langchain(handler: Handler) -> Call:
    from benchmarks.fake_langchain import MESSAGES, FakeChat

    model, config = FakeChat(), {"callbacks": list(handler.callbacks), "metadata": dict(METADATA)}
    return lambda: model.invoke(MESSAGES, config)


def _litellm(_: Handler) -> Call:
    import litellm

    litellm.suppress_debug_info = True
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
    # Looked up at each call: some peers put a wrapper of their own in its place.
    return lambda: litellm.completion(
        model=MODEL, messages=messages, mock_response=ANSWER, metadata=dict(METADATA)
    )


def _llama_index(handler: Handler) -> Call:
    from llama_index.core.callbacks import CallbackManager

    from benchmarks.fake_llama_index import MESSAGES, FakeLLM

    model = FakeLLM(callback_manager=CallbackManager(list(handler.callbacks)))
    return lambda: model.chat(MESSAGES)


CALLS: dict[str, Callable[[Handler], Call]] = {
    "langchain": _langchain,
    "litellm": _litellm,
    "llama_index": _llama_index,
    "records": lambda handler: handler.record,
}
