"""
Many calls in all ways at once, and what the provider's own log says of them.

A number in the text of each call is all that the provider and a record share
without code of ours; the ids that the provider gave do the rest.
"""

import asyncio
import gc
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple

import httpx
import litellm
import openai
from drivers.litellm import WITH_USAGE, at

from modeltrail.integration import HasRecorder
from modeltrail.record import CallRecord
from modeltrail.testing import Answer, Fault, LocalProvider, ProviderRequest, ServedRequest
from tests.integrations.litellm.asking import deployment
from tests.integrations.litellm.proxy import served

Step = Answer | Fault
Steps = tuple[Step, ...]

SPARE = "gpt-4o"
SILENT = "gpt-4.1-mini"
EMBEDDER = "text-embedding-3-small"
NUMBER = re.compile(r"Question (\d+)\.")

TASKS = 20
THREADS = 4
WAIT_S = 60.0
SETTLE_S = 5.0
# Of a call that times out the provider has had the request, however busy the machine is.
PATIENCE = httpx.Timeout(60, read=2)
POLL_S = 0.02


# --- what the provider does ---------------------------------------------------------------------


def answered(random: Random, **more: Any) -> Answer:
    """
    Answer, with a usage that hardly any other call has.
    """
    return Answer(
        text="one two three four",
        input_tokens=random.randint(100, 99_999),
        output_tokens=random.randint(1, 9_999),
        cached_tokens=random.randint(0, 100),
        chunks=random.randint(1, 6),
        **more,
    )


def refused(random: Random) -> Fault:
    """
    Fail with a status of the client's fault or of the provider's.
    """
    return Fault(random.choice([400, 401, 404, 429, 500, 503]))


def failed(random: Random) -> Fault:
    """
    Fail in a way that is worth another attempt.
    """
    return Fault(random.choice([429, 500, 503]))


def well(random: Random) -> Steps:
    """
    Answer.
    """
    return (answered(random),)


def badly(random: Random) -> Steps:
    """
    Refuse.
    """
    return (refused(random),)


def rightly(random: Random) -> Steps:
    """
    Refuse what is not worth another attempt: clients of embeddings have retries of their own.
    """
    return (Fault(random.choice([400, 401, 404])),)


def slowly(random: Random) -> Steps:
    """
    Answer so slowly that one may leave.
    """
    return (Answer(text="x" * 300, chunks=300, chunk_delay=0.1),)


def silently(random: Random) -> Steps:
    """
    Say nothing.
    """
    return (Fault(hang=300),)


def brokenly(random: Random) -> Steps:
    """
    Break off a stream.
    """
    part = Answer(text="one two three four five six", chunks=6)
    after = random.randint(1, 3)
    kinds = [Fault(drop_after=after, answer=part), Fault(500, error_after=after, answer=part)]
    return (random.choice(kinds),)


def shakily(random: Random) -> Steps:
    """
    Fail up to three times, then answer; whoever tries three times may have failed by then.
    """
    return (*(failed(random) for _ in range(random.randint(1, 3))), answered(random))


def once_badly(random: Random) -> Steps:
    """
    Fail once, then answer.
    """
    return (failed(random), answered(random))


# --- ways of asking -----------------------------------------------------------------------------


class Call(NamedTuple):
    """
    One call of an application, which may be several of a provider.
    """

    number: int
    mix: "Mix"

    @property
    def text(self) -> str:
        """
        What is asked.
        """
        return f"Question {self.number}."

    @property
    def messages(self) -> Any:
        """
        The same as messages.
        """
        return [{"role": "user", "content": self.text}]

    @property
    def metadata(self) -> dict[str, Any]:
        """
        What is said of the call to the trail.
        """
        return {"modeltrail_call": str(self.number)}

    @property
    def own(self) -> dict[str, Any]:
        """
        Give the call a client of its own.

        A pool of connections hangs in itself if the garbage collector, called while the pool is
        locked, closes an abandoned stream of it: httpcore's lock is not re-entrant.
        """
        provider = self.mix.provider
        return {"client": openai.OpenAI(base_url=provider.base_url, api_key="x", max_retries=0)}

    def sdk(self, **options: Any) -> dict[str, Any]:
        """
        Return the arguments of a call of the SDK.
        """
        given = {"messages": self.messages, "metadata": self.metadata, "num_retries": 0}
        return at(self.mix.provider, **{**given, **options})

    def responses(self, **options: Any) -> dict[str, Any]:
        """
        Return the arguments of a call of OpenAI's responses.
        """
        arguments = self.sdk(input=self.text, litellm_metadata=self.metadata, **options)
        del arguments["messages"], arguments["metadata"]
        return arguments

    def embedding(self) -> dict[str, Any]:
        """
        Return the arguments of an embedding.
        """
        arguments = self.sdk(model=f"openai/{EMBEDDER}", input=[self.text])
        del arguments["messages"]
        return arguments

    def routed(self, model: str, **options: Any) -> dict[str, Any]:
        """
        Return the arguments of a call of the Router.
        """
        given = {"messages": self.messages, "metadata": self.metadata}
        return {"model": model, **given, **options}

    def proxied(self, model: str = "chat", **options: Any) -> dict[str, Any]:
        """
        Return the arguments of a call of the proxy's client.
        """
        body = {"extra_body": {"metadata": self.metadata}}
        return {"model": model, "messages": self.messages, **body, **options}

    async def arrived(self) -> None:
        """
        Wait until the provider has the request.
        """
        async with asyncio.timeout(WAIT_S):
            while not self.mix.times_asked[self.number]:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(POLL_S)


STREAM: dict[str, Any] = {"stream": True, **WITH_USAGE}


async def read(answer: Awaitable[Any]) -> None:
    """
    Read a stream to its end.
    """
    async for _ in await answer:
        pass


async def leave(answer: Awaitable[Any], *, close: bool = False) -> None:
    """
    Read one piece of a stream, and no more.
    """
    pieces = await answer
    await anext(aiter(pieces))
    if close:
        await pieces.aclose()


async def cancel(call: Call, answer: Awaitable[Any]) -> None:
    """
    Cancel a call that the provider has got.
    """
    task = asyncio.ensure_future(answer)
    await call.arrived()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def cancel_reader(answer: Awaitable[Any]) -> None:
    """
    Cancel the reader of a stream.
    """
    reading = asyncio.Event()

    async def read_on() -> None:
        async for _ in await answer:
            reading.set()

    task = asyncio.create_task(read_on())
    await asyncio.wait_for(reading.wait(), WAIT_S)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Way(NamedTuple):
    """
    A way of asking.

    Attributes:
        ask: Asks, in a task of its own or in a thread.
        steps: What the provider does, with one request after the other.
        left: How the record ends if the application leaves before the provider's end, else None.
        in_thread: Whether it blocks.
    """

    ask: Callable[[Call], Any]
    steps: Callable[[Random], Steps] = well
    left: str | None = None
    in_thread: bool = False


def in_threads(*ways: Way) -> Iterator[Way]:
    """
    Ask in threads.
    """
    return (way._replace(in_thread=True) for way in ways)


LOST = "incomplete"
CANCELLED = "cancelled"
FALLBACKS = {"fallbacks": [{"model": f"openai/{SPARE}"}]}

SDK_WAYS: Sequence[Way] = (
    *in_threads(
        Way(lambda call: litellm.completion(**call.sdk())),
        Way(lambda call: litellm.completion(**call.sdk()), badly),
        Way(lambda call: litellm.completion(**call.sdk(timeout=PATIENCE)), silently),
        Way(lambda call: list(litellm.completion(**call.sdk(**STREAM)))),
        Way(lambda call: list(litellm.completion(**call.sdk(stream=True)))),
        Way(lambda call: list(litellm.completion(**call.sdk(**STREAM))), badly),
        Way(lambda call: list(litellm.completion(**call.sdk(**STREAM))), brokenly),
        Way(lambda call: next(litellm.completion(**call.sdk(**STREAM, **call.own))), slowly, LOST),
        Way(lambda call: litellm.completion(**call.sdk(**FALLBACKS)), once_badly),
        Way(lambda call: litellm.responses(**call.responses())),
        Way(lambda call: litellm.responses(**call.responses()), badly),
        Way(lambda call: list(litellm.responses(**call.responses(stream=True)))),
        Way(lambda call: litellm.embedding(**call.embedding())),
        Way(lambda call: litellm.embedding(**call.embedding()), rightly),
    ),
    *2
    * (
        Way(lambda call: litellm.acompletion(**call.sdk())),
        Way(lambda call: litellm.acompletion(**call.sdk()), badly),
        Way(lambda call: litellm.acompletion(**call.sdk(timeout=PATIENCE)), silently),
        Way(lambda call: cancel(call, litellm.acompletion(**call.sdk())), silently, CANCELLED),
        Way(lambda call: read(litellm.acompletion(**call.sdk(**STREAM)))),
        Way(lambda call: read(litellm.acompletion(**call.sdk(stream=True)))),
        Way(lambda call: read(litellm.acompletion(**call.sdk(**STREAM))), badly),
        Way(lambda call: read(litellm.acompletion(**call.sdk(**STREAM))), brokenly),
        Way(lambda call: leave(litellm.acompletion(**call.sdk(**STREAM))), slowly, LOST),
        Way(
            lambda call: leave(litellm.acompletion(**call.sdk(**STREAM)), close=True), slowly, LOST
        ),
        Way(
            lambda call: cancel_reader(litellm.acompletion(**call.sdk(**STREAM))), slowly, CANCELLED
        ),
        Way(lambda call: litellm.acompletion(**call.sdk(**FALLBACKS)), once_badly),
        Way(lambda call: litellm.aresponses(**call.responses())),
        Way(lambda call: litellm.aresponses(**call.responses()), badly),
        Way(lambda call: read(litellm.aresponses(**call.responses(stream=True)))),
        Way(lambda call: litellm.aembedding(**call.embedding())),
        Way(lambda call: litellm.aembedding(**call.embedding()), rightly),
    ),
)


def router_ways(router: litellm.Router) -> Sequence[Way]:
    """
    List the ways of asking a Router.
    """
    ask, aask = router.completion, router.acompletion
    again = {"num_retries": 2}
    return (
        *in_threads(
            Way(lambda call: ask(**call.routed("chat"))),
            Way(lambda call: list(ask(**call.routed("chat", **STREAM)))),
            Way(lambda call: ask(**call.routed("chat")), badly),
            Way(lambda call: ask(**call.routed("chat", **again)), shakily),
            Way(lambda call: ask(**call.routed("shaky")), once_badly),
            Way(lambda call: ask(**call.routed("mirrored"))),
        ),
        Way(lambda call: aask(**call.routed("chat"))),
        Way(lambda call: read(aask(**call.routed("chat", **STREAM)))),
        Way(lambda call: aask(**call.routed("chat")), badly),
        Way(lambda call: aask(**call.routed("chat", **again)), shakily),
        Way(lambda call: read(aask(**call.routed("chat", **STREAM, **again))), shakily),
        Way(lambda call: aask(**call.routed("shaky")), once_badly),
        Way(lambda call: read(aask(**call.routed("shaky", **STREAM))), once_badly),
        Way(lambda call: aask(**call.routed("mirrored"))),
        Way(lambda call: read(aask(**call.routed("chat", **STREAM))), brokenly),
        Way(lambda call: leave(aask(**call.routed("chat", **STREAM))), slowly, LOST),
        Way(lambda call: cancel(call, aask(**call.routed("chat"))), silently, CANCELLED),
        Way(lambda call: aask(**call.routed("chat", timeout=PATIENCE)), silently),
    )


def proxy_ways(client: openai.AsyncOpenAI) -> Sequence[Way]:
    """
    List the ways of asking the proxy.
    """
    ask = client.chat.completions.create
    again = {"extra_headers": {"x-litellm-num-retries": "2"}}
    return (
        Way(lambda call: ask(**call.proxied())),
        Way(lambda call: read(ask(**call.proxied(stream=True)))),
        Way(lambda call: ask(**call.proxied()), badly),
        Way(lambda call: read(ask(**call.proxied(stream=True))), badly),
        Way(lambda call: read(ask(**call.proxied(stream=True))), brokenly),
        Way(lambda call: ask(**call.proxied(**again)), shakily),
        Way(lambda call: ask(**call.proxied("shaky")), once_badly),
        Way(lambda call: read(ask(**call.proxied("shaky", stream=True))), once_badly),
        Way(lambda call: ask(**call.proxied("mirrored"))),
        Way(lambda call: hang_up(ask(**call.proxied(stream=True))), slowly, CANCELLED),
    )


async def hang_up(answer: Awaitable[Any]) -> None:
    """
    Read one piece of a stream from the proxy and close the connection.
    """
    pieces = await answer
    await anext(aiter(pieces))
    await pieces.close()


def router(provider: LocalProvider) -> litellm.Router:
    """
    Make a Router with a fallback and a mirrored model.
    """
    spare, silent = deployment(provider, "spare", "spare"), deployment(provider, "silent", "silent")
    spare["litellm_params"]["model"] = f"openai/{SPARE}"
    silent["litellm_params"]["model"] = f"openai/{SILENT}"
    mirrored = deployment(provider, "mirrored", "mirrored")
    mirrored["litellm_params"]["silent_model"] = "silent"
    first = [deployment(provider, name, name) for name in ("chat", "shaky")]
    return litellm.Router(
        model_list=[*first, mirrored, spare, silent],
        fallbacks=[{"shaky": ["spare"]}],
        num_retries=0,
        retry_after=0,
        disable_cooldowns=True,
    )


# --- the mix ------------------------------------------------------------------------------------


class Mix:
    """
    Makes calls in ways that chance chooses, the same ones each time.

    Attributes:
        times_asked: How often the provider was asked, by the number of the call.
    """

    def __init__(self, provider: LocalProvider, seed: int = 7) -> None:
        self.provider = provider
        self.times_asked: Counter[int] = Counter()
        self._ways: dict[int, Way] = {}
        self._random = Random(seed)
        self._steps: dict[int, Steps] = {}
        self._lock = Lock()
        provider.answers = self._answer

    async def make(self, ways: Sequence[Way], count: int) -> None:
        """
        Make so many calls, of each way at least one if there are enough.
        """
        chosen = [*ways, *self._random.choices(ways, k=max(count - len(ways), 0))][:count]
        self._random.shuffle(chosen)
        tasks = asyncio.Semaphore(TASKS)
        with ThreadPoolExecutor(THREADS) as threads:
            await asyncio.gather(*(self._make(self._plan(way), tasks, threads) for way in chosen))

    async def settled(self, trail: HasRecorder) -> None:
        """
        Wait until all that goes on in this loop has ended, mirrored calls included.

        What LiteLLM still has to tell then is told when the trail is flushed.
        """
        until = monotonic() + SETTLE_S
        while trail.recorder.open_calls and monotonic() < until:
            await asyncio.sleep(POLL_S)
            gc.collect()

    @property
    def calls(self) -> int:
        """
        How many calls were made.
        """
        return len(self._ways)

    def left(self, number: int) -> str | None:
        """
        Tell how the record of a call ends if the provider has not ended it.
        """
        return self._ways[number].left

    def _plan(self, way: Way) -> Call:
        number = len(self._ways)
        self._ways[number] = way
        self._steps[number] = way.steps(self._random)
        return Call(number, self)

    async def _make(
        self, call: Call, tasks: asyncio.Semaphore, threads: ThreadPoolExecutor
    ) -> None:
        way = self._ways[call.number]
        async with tasks:
            # How calls fail in their application is not looked at here.
            with suppress(Exception):
                if way.in_thread:
                    await asyncio.get_running_loop().run_in_executor(threads, way.ask, call)
                else:
                    await way.ask(call)

    def _answer(self, request: ProviderRequest) -> Step:
        number = number_of(request.body)
        steps = self._steps[number]
        with self._lock:
            turn = self.times_asked[number]
            self.times_asked[number] += 1
        if request.model == SILENT:
            return steps[0]
        return steps[min(turn, len(steps) - 1)]


# --- what must have been recorded ---------------------------------------------------------------


class End(NamedTuple):
    """
    What the provider and a record must agree on of one request.

    Attributes:
        call: The number of the call.
        shadow: Whether it was mirrored.
        request_id: The provider's own, of what it has answered to somebody who was there.
        code: The status of such a failure.
    """

    call: int
    model: str | None
    shadow: bool
    status: str
    request_id: str | None = None
    code: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


def number_of(body: Any) -> int:
    """
    Return the number of the call that a request was made for.
    """
    found = NUMBER.search(json.dumps(body))
    assert found is not None
    return int(found[1])


def of_provider(request: ServedRequest, left: str | None) -> End:
    """
    Tell what the provider has done with a request.

    Args:
        left: How the record ends if the application has left before the provider's end.
    """
    step, status = request.answer, request.status
    about = (number_of(request.body), request.model, request.model == SILENT)
    is_refused = isinstance(step, Fault) and status not in (None, 200)
    if left is not None and not is_refused:
        return End(*about, left)
    if isinstance(step, Answer):
        return End(*about, "ok", request.request_id, None, *_reported(request, step))
    if is_refused:
        return End(*about, "error", request.request_id, str(status))
    return End(*about, "error")


def of_record(record: CallRecord) -> End:
    """
    Tell the same of a record.
    """
    number = int(json.loads(record.tags or "{}")["call"])
    about = (number, record.request_model, record.shadow is True, record.status)
    tokens = (record.input_tokens, record.output_tokens)
    if record.status not in {"ok", "error"}:
        return End(*about, None, None, *tokens)
    # LiteLLM has codes of its own for what no provider has answered.
    code = None if record.provider_request_id is None else record.error_code
    return End(*about, record.provider_request_id, code, *tokens)


def _reported(request: ServedRequest, answer: Answer) -> tuple[int | None, int | None]:
    if request.path.endswith("/embeddings"):
        return answer.input_tokens, None
    is_asked = (request.body.get("stream_options") or {}).get("include_usage")
    if request.path.endswith("/chat/completions") and request.stream and not is_asked:
        return None, None
    return answer.input_tokens, answer.output_tokens


def disagreement(mix: Mix, records: Iterable[CallRecord]) -> tuple[list[End], list[End]]:
    """
    Return what only the provider tells and what only the records tell; each request has one.
    """
    assert mix.provider.wait_idle(WAIT_S)
    asked = served(mix.provider)
    expected = Counter(of_provider(each, mix.left(number_of(each.body))) for each in asked)
    found = Counter(map(of_record, records))
    return sorted((expected - found).elements(), key=str), sorted(
        (found - expected).elements(), key=str
    )
