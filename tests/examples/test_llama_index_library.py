"""
The library on LlamaIndex, run as a reader runs it.
"""

from collections import Counter, defaultdict
from pathlib import Path

import pytest

import modeltrail
from tests.examples.running import run_example

READERS = 24
# In the order of the index, each search (embedding, chat), each question at the desk
# (chat, embedding of what the agent looks up, chat).
CALLS = 1 + 2 * READERS + 3 * READERS


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """
    Run the example in a folder of its own.
    """
    folder = tmp_path_factory.mktemp("library")
    return folder, run_example("llama_index_library", folder)


def test_library_leaves_a_record_of_every_model_call(
    printed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each search and each question is one trace of one variant, with tokens and cost."""
    folder, _ = printed
    monkeypatch.setenv("HOME", str(folder))
    with modeltrail.open(f"sqlite:///{folder}/library-trail/calls.db") as trail:
        records = [each.record for each in trail.store.calls(limit=None)]
        readers = {trail.recorder.ref(f"reader-{number}") for number in range(READERS)}
        assert trail.health().problems == {}
    assert {each.status for each in records} == {"ok"}
    traces = defaultdict(list)
    for each in records:
        if each.feature != "indexing":
            traces[each.feature, each.trace_id].append(each)
    assert {each.user_ref for calls in traces.values() for each in calls} == readers
    shapes = Counter(
        (feature, *sorted(each.operation for each in calls))
        for (feature, _), calls in traces.items()
    )
    assert shapes == {
        ("search", "chat", "embeddings"): READERS,
        ("desk", "chat", "chat", "embeddings"): READERS,
    }
    assert all(len({each.variant for each in calls}) == 1 for calls in traces.values())
    # openai.com: 2.50 and 10.00 dollars a million tokens for gpt-4o, .15 and .60 for the smaller.
    nanousd = {"gpt-4o": (2500, 10_000), "gpt-4o-mini": (150, 600)}
    for each in records:
        if each.operation == "chat":
            read, written = nanousd[each.request_model]
            assert each.cost_nanousd == each.input_tokens * read + each.output_tokens * written
        else:
            assert (each.input_tokens, each.cost_nanousd) == (None, None)


def test_library_prints_what_the_provider_saw(
    printed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of requests is the provider's own, and so is that of the records."""
    folder, output = printed
    monkeypatch.setenv("HOME", str(folder))
    assert f"{READERS} readers made {CALLS} model calls." in output
    with modeltrail.open(f"sqlite:///{folder}/library-trail/calls.db") as trail:
        assert len(trail.store.calls(limit=None)) == CALLS
