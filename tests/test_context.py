"""
Tags of the context.
"""

import asyncio
import threading
from contextvars import copy_context

import structlog

import modeltrail
from modeltrail.context import bind, current_tags


def test_tags_merge_and_end_with_their_block() -> None:
    """Inner tags win inside their block; outside nothing of them is left."""
    with modeltrail.tag(feature="support", user="u-1", team="berlin"):
        with modeltrail.tag(feature="search", session="s-1"):
            assert current_tags() == {
                "feature": "search",
                "user": "u-1",
                "team": "berlin",
                "session": "s-1",
            }
        assert current_tags() == {"feature": "support", "user": "u-1", "team": "berlin"}
    assert current_tags() == {}


def test_application_context_of_structlog_lands_on_calls() -> None:
    """What an application has bound under a known name is a tag; other names are its own."""
    with structlog.contextvars.bound_contextvars(feature="checkout", user="u-2", request="r-9"):
        assert current_tags() == {"feature": "checkout", "user": "u-2"}


def test_labels_land_on_log_lines_and_people_do_not() -> None:
    """Feature and variant are bound for the application's log lines, users are not."""
    with modeltrail.tag(feature="support", variant="B", user="u-1", session="s", unit="u-1"):
        assert structlog.contextvars.get_contextvars() == {"feature": "support", "variant": "B"}
    assert structlog.contextvars.get_contextvars() == {}


def test_application_values_come_back_after_a_block() -> None:
    """A block puts back what the application itself had bound."""
    with structlog.contextvars.bound_contextvars(feature="outer"):
        with modeltrail.tag(feature="inner"):
            pass
        assert structlog.contextvars.get_contextvars() == {"feature": "outer"}


def test_assignment_ends_with_the_enclosing_block() -> None:
    """What is bound inside a block goes with the block, from log lines too."""
    with modeltrail.tag(feature="support"):
        bind(experiment="exp", variant="B", unit="u-1")
        assert current_tags()["variant"] == "B"
    assert current_tags() == {}
    assert structlog.contextvars.get_contextvars() == {}


def test_tasks_inherit_and_do_not_disturb_each_other() -> None:
    """Concurrent tasks see their own tags and those of the block around them."""

    async def task(number: int) -> dict[str, object]:
        with modeltrail.tag(variant=str(number)):
            await asyncio.sleep(0)
            return current_tags()

    async def main() -> list[dict[str, object]]:
        with modeltrail.tag(feature="f"):
            return await asyncio.gather(*(task(n) for n in range(20)))

    assert asyncio.run(main()) == [{"feature": "f", "variant": str(n)} for n in range(20)]


def test_block_may_end_in_another_context() -> None:
    """A generator closed on another thread ends its block without an error."""

    def generator():
        with modeltrail.tag(feature="f", user="u"):
            yield

    def end_elsewhere() -> dict[str, object]:
        started = generator()
        next(started)
        thread = threading.Thread(target=started.close)
        thread.start()
        thread.join()
        return current_tags()

    # The context it began in keeps the tags: nobody else can take them away there.
    assert copy_context().run(end_elsewhere) == {"feature": "f", "user": "u"}
    assert current_tags() == {}


def test_one_tag_object_may_be_used_again() -> None:
    """Blocks of one object nest and repeat."""
    tagged = modeltrail.tag(feature="f")
    with tagged, tagged:
        assert current_tags() == {"feature": "f"}
    assert current_tags() == {}
