"""
Columns of the record from what a framework told.

Runs on the caller's thread, since only there is the text at hand from which
digests and shape are taken. Pure but for the count of problems.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from modeltrail import context
from modeltrail.capture import CapturePolicy, allowed_parameters, storable
from modeltrail.invocation import Ending
from modeltrail.keys import Keys
from modeltrail.record import USAGE_COLUMNS, CaptureMode, Request, Response, Usage
from modeltrail.shape import output_format

# Above this size the writer's thread digests a text, not the caller's.
CALLER_LIMIT_BYTES = 64 * 1024
# A free tag is a label, not a document.
TAGS_LIMIT_BYTES = 16 * 1024


def _reader(*names: str) -> Callable[[object], dict[str, Any]]:
    values_of = attrgetter(*names)

    def present(source: object) -> dict[str, Any]:
        found = zip(names, values_of(source), strict=True)
        return {name: value for name, value in found if value is not None}

    return present


_of_request = _reader(
    "framework",
    "framework_version",
    "operation",
    "run_id",
    "trace_id",
    "parent_id",
    "provider",
    "request_model",
    "deployment",
    "streaming",
    "attempt",
    "is_fallback",
    "shadow",
)
_of_response = _reader(
    "response_model",
    "response_id",
    "provider",
    "provider_request_id",
    "system_fingerprint",
    "service_tier",
    "deployment",
    "cache_hit",
    "streaming",
    "attempt",
    "is_fallback",
    "cost_reported_nanousd",
    "latency_us",
    "time_to_first_chunk_us",
)
_of_ending = _reader("status", "latency_us", "time_to_first_chunk_us", "error_type", "error_code")
_of_usage = _reader(*USAGE_COLUMNS)
_TEXT_TAGS = ("feature", "segment", "experiment", "phase", "variant", "unit_type", "environment")
# People: what is stored of these is a keyed reference.
_KEYED_TAGS = {"unit": "unit_ref", "user": "user_ref", "session": "session_ref"}

Messages = Sequence[tuple[str, str]]
Note = Callable[[str], None]


class Described(NamedTuple):
    """
    Columns, and the texts that were too long to be digested here.
    """

    columns: dict[str, Any]
    texts: dict[str, bytes] | None = None


class Describer:
    """
    Turns requests and endings into columns, under one policy and key.

    Args:
        defaults: Tags for calls that have none of their own.
        note: Counts a problem by its kind.
    """

    def __init__(
        self, keys: Keys, policy: CapturePolicy, defaults: Mapping[str, Any], note: Note
    ) -> None:
        self._keys = keys
        self._policy = policy
        self._policy_digest = policy.digest
        self._defaults = dict(defaults)
        self._note = note

    def start(self, request: Request) -> Described:
        """
        Describe a call that begins.
        """
        columns = _of_request(request)
        if request.parameters and (kept := allowed_parameters(request.parameters)):
            columns["parameters"] = msgspec.json.encode(kept, order="sorted").decode()
        self._add_tags(
            columns,
            {
                **self._defaults,
                **request.default_tags,
                **context.current_tags(),
                **request.tags,
            },
        )
        mode = self._policy.mode_for(columns.get("feature"))
        columns["capture_mode"] = mode
        columns["policy_digest"] = self._policy_digest
        if not request.messages:
            return Described(columns)
        columns["input_chars"] = sum(len(text) for _, text in request.messages)
        texts = {"input": request.messages}
        if request.prompt:
            texts["prompt"] = (("system", request.prompt),)
        return self._digest(columns, mode, texts)

    def end(self, ending: Ending, mode: CaptureMode) -> Described:
        """
        Describe how a call ended.

        Args:
            mode: The capture mode that was in force when it began.
        """
        response = ending.response
        # What the framework measured wins over what we did.
        columns = _of_ending(ending) | _of_response(response)
        if response.finish_reasons:
            columns["finish_reasons"] = msgspec.json.encode(response.finish_reasons).decode()
        if response.usage is not None:
            _add_usage(columns, response.usage)
        if response.text is None:
            return Described(columns)
        columns["output_chars"] = len(response.text)
        if len(response.text) <= CALLER_LIMIT_BYTES:
            columns["output_format"] = format_of(response)
        return self._digest(columns, mode, {"output": answer_messages(response)})

    def _digest(
        self, columns: dict[str, Any], mode: CaptureMode, texts: Mapping[str, Messages]
    ) -> Described:
        if mode == "metadata":
            return Described(columns)
        late = {}
        for name, messages in texts.items():
            data = self._canonical(messages)
            if len(data) <= CALLER_LIMIT_BYTES:
                columns[f"{name}_digest"] = self._keys.digest(data)
            else:
                late[name] = data
        return Described(columns, late or None)

    def _canonical(self, messages: Messages) -> bytes:
        try:
            return canonical(messages)
        except UnicodeEncodeError:
            self._note("text-not-unicode")
            return canonical([(storable(role), storable(text)) for role, text in messages])

    def _add_tags(self, columns: dict[str, Any], tags: Mapping[str, Any]) -> None:
        rest = {name: value for name, value in tags.items() if value is not None}
        if not rest:
            return
        for name in _TEXT_TAGS:
            if name in rest and (text := self._label(rest.pop(name))) is not None:
                columns[name] = text
        for name, column in _KEYED_TAGS.items():
            if name in rest and (text := self._label(rest.pop(name))) is not None:
                columns[column] = self._keys.ref(text)
        if isinstance(propensity := rest.pop("propensity_ppm", None), int):
            columns["propensity_ppm"] = propensity
        if rest and (free := self._free_tags(rest)):
            columns["tags"] = free

    def _label(self, value: object) -> str | None:
        if isinstance(value, str):
            return value
        if isinstance(value, int | float):
            return str(value)
        self._note("tag-not-text")
        return None

    def _free_tags(self, tags: Mapping[str, Any]) -> str | None:
        kept: dict[str, msgspec.Raw] = {}
        left = TAGS_LIMIT_BYTES
        for name, value in tags.items():
            encoded = self._free_tag(value)
            if encoded is None or not isinstance(name, str):
                self._note("tag-not-json")
            elif (left := left - len(name) - len(encoded)) < 0:
                self._note("tags-too-long")
                break
            else:
                kept[storable(name)] = msgspec.Raw(encoded)
        return msgspec.json.encode(kept, order="sorted").decode() if kept else None

    def _free_tag(self, value: object) -> bytes | None:
        try:
            return msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
            return None


def canonical(messages: Messages) -> bytes:
    """
    Return the bytes that a digest is taken of.

    A JSON array of [role, text] arrays in UTF-8, as RFC 8785 writes it.
    """
    return msgspec.json.encode(messages)


def answer_messages(response: Response) -> Messages:
    """
    Return an answer in the form of messages: its text, then its tool calls.
    """
    calls = [(f"tool_call:{name}", arguments) for name, arguments in response.tool_calls]
    return [("assistant", response.text or ""), *calls]


def format_of(response: Response) -> str:
    """
    Tell what kind of text an answer is.
    """
    return output_format(
        response.text or "", tool_calls=bool(response.tool_calls), refusal=response.refusal
    )


def _add_usage(columns: dict[str, Any], usage: Usage) -> None:
    columns.update(_of_usage(usage))
    columns["usage_source"] = usage.source
    if usage.detail:
        columns["usage_detail"] = msgspec.json.encode(usage.detail, order="sorted").decode()
