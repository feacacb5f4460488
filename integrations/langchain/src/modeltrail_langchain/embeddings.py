"""
Embeddings, for which LangChain has no callbacks.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable
from uuid import uuid4

from langchain_core.embeddings import Embeddings

from modeltrail.integration import (
    HasRecorder,
    Invocation,
    Request,
    Response,
    error_code,
    guarded,
)
from modeltrail_langchain.places import Places
from modeltrail_langchain.translate import FRAMEWORK, VERSION

NO_ANSWER = Response()


@runtime_checkable
class HasModel(Protocol):
    """
    Embeddings that say which model they ask, as OpenAI's and Ollama's do.
    """

    model: str


@runtime_checkable
class HasModelName(Protocol):
    """
    The same, as those of Hugging Face do.
    """

    model_name: str


class RecordedEmbeddings(Embeddings):
    """
    Embeddings whose calls are recorded; made by `recorded`.

    Attributes:
        embeddings: Those that do the work.
    """

    def __init__(
        self, embeddings: Embeddings, trail: HasRecorder, model: str | None, provider: str | None
    ) -> None:
        self.embeddings = embeddings
        self._recorder = trail.recorder
        self._places = trail.recorder.shared(Places)
        self._model = model
        self._provider = provider

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """
        Embed texts: one record, however many requests the client makes of them.
        """
        with self._recorded(texts):
            return self.embeddings.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """
        Embed a question.
        """
        with self._recorded([text]):
            return self.embeddings.embed_query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """
        Embed texts asynchronously.
        """
        with self._recorded(texts):
            return await self.embeddings.aembed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        """
        Embed a question asynchronously.
        """
        with self._recorded([text]):
            return await self.embeddings.aembed_query(text)

    @contextmanager
    def _recorded(self, texts: Sequence[str]) -> Iterator[None]:
        call = self._start(texts)
        try:
            yield
        except BaseException as error:
            self._fail(call, error)
            raise
        self._stop(call)

    @guarded
    def _start(self, texts: Sequence[str]) -> Invocation:
        run_id = uuid4()
        place = self._places.of(run_id, None)
        request = Request(
            framework=FRAMEWORK,
            framework_version=VERSION,
            operation="embeddings",
            run_id=run_id,
            trace_id=place.trace_id,
            parent_id=place.parent_id,
            provider=self._provider,
            request_model=self._model,
            messages=[("user", text) for text in texts],
        )
        call = self._recorder.start(request)
        call.enclose()
        return call

    @guarded
    def _stop(self, call: Invocation | None) -> None:
        if call is not None:
            call.stop(NO_ANSWER)

    @guarded
    def _fail(self, call: Invocation | None, error: BaseException) -> None:
        if call is not None:
            call.fail(error, code=error_code(error))


def recorded(
    embeddings: Embeddings,
    trail: HasRecorder,
    *,
    model: str | None = None,
    provider: str | None = None,
) -> RecordedEmbeddings:
    """
    Record the calls of embeddings, which LangChain tells no callback of.

    LangChain hands on vectors alone: the tokens and the model that answered
    stay unknown.

    Example:
        store = InMemoryVectorStore(recorded(OpenAIEmbeddings(), trail))

    Args:
        trail: An open trail, or what `modeltrail.testing.capture_records` gives.
        model: The model that is asked, if the embeddings have neither a
            `model` nor a `model_name` that says so.
        provider: The company that serves it; None if that is not known.
    """
    return RecordedEmbeddings(embeddings, trail, model or _model_of(embeddings), provider)


def _model_of(embeddings: Embeddings) -> str | None:
    if isinstance(embeddings, HasModel):
        return embeddings.model
    return embeddings.model_name if isinstance(embeddings, HasModelName) else None
