"""
What must be added to a call on the caller's own thread, before it is written.

Only there are the context's tags and the texts at hand. People become
references, texts become digests and facts; all else is left to the writer's
thread (`modeltrail.describe`), since each line that runs here runs in the
middle of the application's own call, and cold.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from modeltrail import context
from modeltrail.capture import (
    CapturePolicy,
    allowed_parameters,
    names_secret,
    storable,
    without_secrets,
)
from modeltrail.invocation import Ending
from modeltrail.keys import Keys
from modeltrail.record import CaptureMode, Request, Response, Tags
from modeltrail.shape import output_format
from modeltrail.usage import known_counts

# Above this size the writer's thread digests a text, not the caller's.
CALLER_LIMIT_BYTES = 64 * 1024
PROMPTS_REMEMBERED = 64
# People: what is stored of these tags is a keyed reference.
KEYED_TAGS = {"unit": "unit_ref", "user": "user_ref", "session": "session_ref"}
PEOPLE = frozenset(KEYED_TAGS)

# All others are what an application likes to call them.
KNOWN_TAGS = frozenset(Tags.__struct_fields__)

Messages = Sequence[tuple[str, str]]
_text_of: Callable[[tuple[str, str]], str] = itemgetter(1)


# What a frame says: what the framework told, without its texts; columns that only the
# caller's thread could fill; texts too long to be digested here, if there are any.
Said = tuple[Request | Response, dict[str, Any], dict[str, bytes] | None]


class Teller:
    """
    Completes what frameworks tell, under one policy and key.

    Args:
        defaults: Tags for calls that have none of their own.
        note: Counts a problem by its kind.
    """

    def __init__(
        self,
        keys: Keys,
        policy: CapturePolicy,
        defaults: Mapping[str, Any],
        note: Callable[[str], None],
    ) -> None:
        self._keys = keys
        self._policy = policy
        self._policy_digest = policy.digest
        self._defaults = dict(defaults)
        self._note = note
        # An application has few prompts and sends them with each call.
        self._prompts: dict[str, str] = {}

    def start(self, request: Request) -> Said:
        """
        Complete the start of a call.
        """
        tags = {
            **self._defaults,
            **request.default_tags,
            **context.current_tags(),
            **request.tags,
        }
        policy = self._policy
        mode = policy.default
        if policy.features:
            mode = policy.mode_for(context.label(tags.get("feature")))
        facts: dict[str, Any] = {"capture_mode": mode, "policy_digest": self._policy_digest}
        if not PEOPLE.isdisjoint(tags):
            self._add_people(facts, tags)
        if not KNOWN_TAGS.issuperset(tags):
            self._remove_secrets(tags, tags.keys() - KNOWN_TAGS)
        texts: dict[str, bytes] = {}
        if request.messages:
            facts["input_chars"] = sum(map(len, map(_text_of, request.messages)))
            if mode != "metadata":
                self._digest("input_digest", request.messages, facts, texts)
        if (prompt := request.prompt) and mode != "metadata":
            if (digest := self._prompts.get(prompt)) is not None:
                facts["prompt_digest"] = digest
            else:
                self._digest("prompt_digest", (("system", prompt),), facts, texts)
                self._remember(prompt, facts.get("prompt_digest"))
        parameters = request.parameters and allowed_parameters(request.parameters)
        told = replace(
            request,
            messages=(),
            prompt=None,
            parameters=parameters,
            default_tags={},
            tags=tags,
            started_at_us=None,
        )
        return told, facts, texts or None

    def end(self, ending: Ending, mode: CaptureMode) -> Said:
        """
        Complete the end of a call.

        Args:
            mode: The capture mode that was in force when it began.
        """
        response = ending.response
        facts: dict[str, Any] = {"status": ending.status}
        if ending.latency_us is not None:
            facts["latency_us"] = ending.latency_us
        if ending.time_to_first_chunk_us is not None:
            facts["time_to_first_chunk_us"] = ending.time_to_first_chunk_us
        if ending.error_type is not None:
            facts["error_type"] = ending.error_type
            facts["error_code"] = ending.error_code
        texts: dict[str, bytes] = {}
        if (text := response.text) is not None:
            facts["output_chars"] = len(text)
            if len(text) <= CALLER_LIMIT_BYTES:
                facts["output_format"] = output_format(
                    text, tool_calls=bool(response.tool_calls), refusal=response.refusal
                )
            if mode != "metadata":
                self._digest("output_digest", answer_messages(response), facts, texts)
        usage = response.usage and known_counts(response.usage)
        told = replace(response, text=None, tool_calls=(), refusal=False, usage=usage)
        return told, facts, texts or None

    def _remember(self, prompt: str, digest: str | None) -> None:
        if digest is not None:
            if len(self._prompts) >= PROMPTS_REMEMBERED:
                self._prompts.clear()
            self._prompts[prompt] = digest

    def _add_people(self, facts: dict[str, Any], tags: dict[str, Any]) -> None:
        for name, column in KEYED_TAGS.items():
            if (value := tags.pop(name, None)) is None:
                continue
            if (text := context.label(value)) is None:
                self._note("tag-not-text")
            else:
                facts[column] = self._keys.ref(text)

    def _remove_secrets(self, tags: dict[str, Any], free: Collection[str]) -> None:
        # Here and not by the writer: what is in the spool is on a disk.
        for name in free:
            value = tags[name]
            if isinstance(name, str) and names_secret(name):
                del tags[name]
                self._note("tag-secret")
            elif isinstance(value, str):
                tags[name] = without_secrets(value)

    def _digest(
        self, column: str, messages: Messages, facts: dict[str, Any], texts: dict[str, bytes]
    ) -> None:
        data = self._canonical(messages)
        if len(data) <= CALLER_LIMIT_BYTES:
            facts[column] = self._keys.digest(data)
        else:
            texts[column.removesuffix("_digest")] = data

    def _canonical(self, messages: Messages) -> bytes:
        try:
            return canonical(messages)
        except UnicodeEncodeError:
            self._note("text-not-unicode")
            return canonical([(storable(role), storable(text)) for role, text in messages])
        except TypeError:  # a text that is more than a text, such as markupsafe's
            return self._canonical([(str(role), str(text)) for role, text in messages])


# The bytes that a digest is taken of: a JSON array of [role, text] arrays in UTF-8, as
# RFC 8785 writes it.
canonical: Callable[[Messages], bytes] = msgspec.json.Encoder().encode


def answer_messages(response: Response) -> Messages:
    """
    Return an answer in the form of messages: its text, then its tool calls.
    """
    text = ("assistant", response.text or "")
    if not response.tool_calls:
        return (text,)
    return (text, *((f"tool_call:{name}", arguments) for name, arguments in response.tool_calls))
