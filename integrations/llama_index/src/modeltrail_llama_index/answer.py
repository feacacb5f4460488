"""
What has arrived of an answer, whole or piece by piece.

Only texts, names and counts are kept, never the framework's objects.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.bridge.pydantic import BaseModel

from modeltrail.integration import Response
from modeltrail_llama_index.sent import (
    announces_end,
    field,
    fields,
    identity_of,
    reason_of,
    usage_of,
)
from modeltrail_llama_index.translate import contents_of

# Where LlamaIndex's own clients repeat the counts.
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Answer:
    """
    An answer on its way.

    Attributes:
        streamed: Whether it comes in pieces.

    Args:
        caches_for_hour: Some of what is written to the provider's cache is
            kept for an hour.
        columns: What is known of it beforehand.
    """

    __slots__ = (
        "_caches_for_hour",
        "_columns",
        "_ends",
        "_pieces",
        "_reasons",
        "_refused",
        "_usage",
        "streamed",
    )

    def __init__(self, *, caches_for_hour: bool = False, **columns: Any) -> None:
        self.streamed = False
        self._caches_for_hour = caches_for_hour
        self._columns = columns
        self._ends = False
        self._pieces: list[str] | None = None
        self._reasons: dict[int, str] = {}
        self._refused = False
        self._usage: Mapping[str, Any] | None = None

    def add(self, response: Any) -> bool:
        """
        Take a piece of a stream and tell whether there is anything in it.
        """
        if not self.streamed:
            self.streamed = True
            self._columns.update(identity_of(response.raw))
        self._read(response, "delta")
        if response.delta is None:
            return bool(_blocks(response))
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(response.delta)
        # Tool calls and thoughts are blocks of their own; a refusal is neither.
        others = any(each.block_type != "text" for each in _blocks(response))
        return bool(response.delta) or others or self._refused

    def finish(self, response: Any) -> Response:
        """
        Return all that arrived.

        Args:
            response: The whole answer; of a stream its last piece, which
                carries the whole text.
        """
        if response is None:
            # A stream that ended before its first piece.
            self.streamed = self._ends = True
            return self.partial()
        self._columns.update(identity_of(response.raw))
        if not self.streamed:
            self._read(response, "message")
        text, tool_calls = contents_of(_blocks(response))
        if self._pieces is not None:
            text = "".join(self._pieces)
        elif "text" in vars(response):
            text = response.text
        return self._response(text, tool_calls)

    def partial(self, error: BaseException | None = None) -> Response:
        """
        Return what arrived of a call that did not end well.

        Args:
            error: What ended it; a provider's error knows the request's id.
        """
        if isinstance(request_id := getattr(error, "request_id", None), str):
            self._columns["provider_request_id"] = request_id
        return self._response(None if self._pieces is None else "".join(self._pieces), ())

    @property
    def is_cut(self) -> bool:
        """
        Whether a stream has stopped before the provider said that it ends.

        Only of providers that say so in the pieces before.
        """
        return self.streamed and self._ends and not self._reasons

    def _response(self, text: str | None, tool_calls: Sequence[tuple[str, str]]) -> Response:
        return Response(
            **self._columns,
            finish_reasons=list(map(self._reasons.__getitem__, sorted(self._reasons))),
            usage=self._usage,
            usage_source="partial" if self._caches_for_hour and self._is_in_doubt() else None,
            text=text,
            tool_calls=tool_calls,
            refusal=self._refused,
            streaming=self.streamed or None,
        )

    def _is_in_doubt(self) -> bool:
        # Streams of Anthropic's lose how long what was written is kept: two prices, one count.
        usage = self._usage or {}
        is_told = usage.get("cache_creation") is not None
        return bool(usage.get("cache_creation_input_tokens")) and not is_told

    def _read(self, response: Any, message: str) -> None:
        raw, counts = response.raw, response.additional_kwargs
        choices, reported = fields(raw, ("choices", "usage"))
        if isinstance(choices, list):
            usage = _usage(reported, counts)
            self._ends = self._ends or bool(choices)
            for choice in choices:
                self._read_choice(choice, message)
        else:
            usage = _usage(usage_of(raw), counts)
            self._ends = self._ends or announces_end(raw)
            self._read_end(reason_of(raw), counts.get("refusal"))
        # A stream's last piece may come without the usage that one before it had.
        self._usage = usage or self._usage

    def _read_choice(self, choice: Any, message: str) -> None:
        reason, index, said = fields(choice, ("finish_reason", "index", message))
        if isinstance(reason, str):
            self._reasons[index or 0] = reason
        if field(said, "refusal"):
            self._refused = True

    def _read_end(self, reason: str | None, refusal: object) -> None:
        if reason is not None:
            self._reasons[0] = reason
        # OpenAI's responses have a field of their own for a refusal, Anthropic a reason.
        if refusal or reason == "refusal":
            self._refused = True


def _usage(reported: Any, counts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if reported:
        return _mapping(reported)
    # LlamaIndex's clients say 0 where a provider said nothing.
    return {name: counts[name] for name in COUNTS} if counts.get("prompt_tokens") else None


def _mapping(reported: Any) -> Mapping[str, Any]:
    # Mostly a dict, and the class of all mappings is slow to ask.
    if isinstance(reported, dict | Mapping):
        return dict(reported)
    counts = _fields(reported) if isinstance(reported, BaseModel) else {}
    return {
        name: _fields(value) if isinstance(value, BaseModel) else value
        for name, value in counts.items()
    }


def _fields(model: BaseModel) -> dict[str, Any]:
    # What a client's class does not know is there, too: a cost, for one.
    return {**vars(model), **(model.model_extra or {})}


def _blocks(response: Any) -> list[Any]:
    # A completion has a text in place of a message.
    message = vars(response).get("message")
    return [] if message is None else message.blocks
