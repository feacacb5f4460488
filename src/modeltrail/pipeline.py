"""
The chain of structlog processors that every record passes before it is stored.

A record travels as an event dict named `model_call`, so that whatever works
as a structlog processor works here: it may change the dict, replace it, or
raise `structlog.DropEvent` to keep the record out of the trail.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from modeltrail.capture import storable, without_secrets
from modeltrail.prices import NO_BOOK, PriceBook, cost_of
from modeltrail.problems import Problems

EVENT = "model_call"
# People stay out of log lines, even as references.
_NOT_MIRRORED = frozenset({"unit_ref", "user_ref", "session_ref"})
_DIGESTS = ("input_digest", "output_digest", "prompt_digest")
_is_text = str.__instancecheck__  # of a class, so that `filter` calls it without a frame
_FREE_TEXTS = ("parameters", "tags", "error_code")


def scrub(logger: WrappedLogger, name: str, event_dict: EventDict) -> EventDict:
    """
    Replace what no column takes, and credentials in the free fields.
    """
    # One look at all texts together, since hardly ever one of them needs more.
    texts = "".join(filter(_is_text, event_dict.values()))
    if "\0" in texts or not texts.isascii():
        for field, value in event_dict.items():
            if isinstance(value, str):
                event_dict[field] = storable(value)
    for field in _FREE_TEXTS:
        if (text := event_dict.get(field)) is not None:
            event_dict[field] = without_secrets(text)
    return event_dict


def capture(logger: WrappedLogger, name: str, event_dict: EventDict) -> EventDict:
    """
    Keep no digest of a call whose policy asks for metadata alone.
    """
    if event_dict.get("capture_mode") == "metadata":
        for field in _DIGESTS:
            event_dict.pop(field, None)
    return event_dict


def cost_adder(book: PriceBook) -> Processor:
    """
    Return what prices a call, or takes over what the framework said it cost.

    Args:
        book: Prices of the user's own.
    """

    def add_cost(logger: WrappedLogger, name: str, event_dict: EventDict) -> EventDict:
        if event_dict.get("cost_nanousd") is None:
            cost = cost_of(event_dict, book)
            event_dict["cost_nanousd"] = cost.nanousd
            event_dict["cost_source"] = cost.source
            event_dict["price_id"] = cost.price_id
        return event_dict

    return add_cost


class Pipeline:
    """
    Runs a record through the default processors, then the user's own.

    A processor that fails costs its own change and, since it may have been
    there to take something out, the free tags; never the record.

    Args:
        mirror: A structlog logger that gets each record as a log line, too.
        book: Prices of the user's own.
    """

    def __init__(
        self,
        processors: Iterable[Processor] = (),
        *,
        mirror: WrappedLogger | None = None,
        book: PriceBook = NO_BOOK,
        problems: Problems,
    ) -> None:
        self._own: tuple[Processor, ...] = (scrub, capture, cost_adder(book))
        self._processors = tuple(processors)
        self._mirror = mirror
        self._problems = problems
        self._logger = structlog.get_logger("modeltrail")

    def run(self, columns: Mapping[str, Any], **more: Any) -> dict[str, Any] | None:
        """
        Process a record's columns; None if a processor dropped the record.

        Args:
            more: Further columns.

        Returns:
            The columns in a dict of their own.
        """
        event_dict: EventDict = {"event": EVENT, **columns, **more}
        for processor in self._own:
            self._run_own(processor, event_dict)
        for processor in self._processors:
            try:
                event_dict = _as_dict(processor(self._logger, "info", dict(event_dict)))
            except structlog.DropEvent:
                return None
            except Exception as error:
                self._fail(event_dict, error)
        if self._processors:  # what they have added must be storable, too
            self._run_own(scrub, event_dict)
        if self._mirror is not None:
            self._reflect(event_dict)
        del event_dict["event"]
        return event_dict if type(event_dict) is dict else dict(event_dict)

    def _run_own(self, processor: Processor, event_dict: EventDict) -> None:
        # Ours change the dict in place, and need no copy to be safe from one another.
        try:
            processor(self._logger, "info", event_dict)
        except Exception as error:
            self._fail(event_dict, error)

    def _fail(self, event_dict: EventDict, error: Exception) -> None:
        self._problems.note("processor-failed", error)
        event_dict.pop("tags", None)

    def _reflect(self, event_dict: EventDict) -> None:
        fields = {
            name: value
            for name, value in event_dict.items()
            if value is not None and name not in _NOT_MIRRORED and name != "event"
        }
        try:
            self._mirror.info(EVENT, **fields)  # type: ignore[union-attr]
        except Exception as error:
            self._problems.note("mirror-failed", error)


def _as_dict(event_dict: object) -> MutableMapping[str, Any]:
    if not isinstance(event_dict, MutableMapping):
        # The last processor of an ordinary chain renders to text; here it must not.
        raise TypeError("a processor of a trail must return the event dict")
    return event_dict
