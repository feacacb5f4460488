"""Images, audio and reranking of the local provider, through OpenAI's client and LiteLLM."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import openai
import pytest

from modeltrail.testing import Answer, Fault, LocalProvider

IMAGES = "/v1/images/generations"
SPEECH = "/v1/audio/speech"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
RERANK = "/v2/rerank"

# Bytes that would end a line, and look like the end of a part, within the file.
AUDIO = ("speech.mp3", b"\xff\xfb\x00\r\n--not-the-end\r\n\r\n\n" * 9, "audio/mpeg")
DOCUMENTS = ["Paris", "Lyon", "Nice", "Metz"]


@pytest.fixture
def client(provider: LocalProvider) -> Iterator[openai.OpenAI]:
    """Open a real client of that provider, which never retries."""
    with openai.OpenAI(base_url=provider.base_url, api_key="none", max_retries=0) as running:
        yield running


def draw(client: openai.OpenAI, **options: Any) -> Any:
    """Ask for an image."""
    return client.images.generate(model="gpt-image-1", prompt="A fox.", **options)


def speak(client: openai.OpenAI, **options: Any) -> Any:
    """Ask for speech."""
    return client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.", **options)


def transcribe(client: openai.OpenAI, **options: Any) -> Any:
    """Ask for a transcription."""
    return client.audio.transcriptions.create(model="gpt-4o-transcribe", file=AUDIO, **options)


# Images


def test_images_are_as_many_as_were_asked_for(client: openai.OpenAI) -> None:
    """Each image comes as the bytes of a picture."""
    reply = draw(client, n=2)
    pictures = [base64.b64decode(image.b64_json) for image in reply.data]
    assert [picture[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"] * 2
    assert reply.created > 0


def test_an_image_can_be_a_url_or_given_bytes(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """Scripted bytes are sent as they are, and a URL has no bytes beside it."""
    provider.script(Answer(media=b"own"), Answer(response_id="img-7"))
    assert base64.b64decode(draw(client).data[0].b64_json) == b"own"
    image = draw(client, response_format="url").data[0]
    assert (image.b64_json, image.url) == (None, "http://127.0.0.1/img-7/0.png")


def test_images_report_their_tokens(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Usage is told as for gpt-image-1, or not at all, as for older models."""
    provider.script(Answer(input_tokens=9, output_tokens=272), Answer(usage=False))
    usage = draw(client).usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (9, 272, 281)
    details = usage.input_tokens_details
    assert (details.text_tokens, details.image_tokens) == (9, 0)
    assert draw(client).usage is None


# Speech


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "audio/mpeg"),
        ({"response_format": "wav"}, "audio/wav"),
        ({"response_format": "opus"}, "audio/opus"),
    ],
)
def test_speech_is_bytes_of_the_type_asked_for(
    provider: LocalProvider, client: openai.OpenAI, options: Any, kind: str
) -> None:
    """The answer is bytes, with the content type of the format and a request id."""
    provider.script(Answer(media=b"\x00\xff\r\n"), Answer())
    reply = speak(client, **options)
    assert reply.content == b"\x00\xff\r\n"
    assert reply.response.headers["content-type"] == kind
    assert reply.response.headers["x-request-id"] == provider.requests[0].request_id
    assert speak(client).content.startswith(b"\xff\xfb")


def test_speech_can_be_read_in_pieces(provider: LocalProvider, client: openai.OpenAI) -> None:
    """A client that streams the bytes gets all of them."""
    provider.script(Answer(media=bytes(range(256)) * 100))
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="Hello."
    ) as reply:
        assert b"".join(reply.iter_bytes(1000)) == bytes(range(256)) * 100
    assert provider.requests[0].finished


# Transcriptions


def test_a_transcription_reports_tokens(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Text comes with the tokens of its audio, or with no usage."""
    provider.script(Answer("Hello.", input_tokens=30, output_tokens=4), Answer(usage=False))
    reply = transcribe(client)
    assert reply.text == "Hello."
    assert reply.usage.to_dict() == {
        "type": "tokens",
        "input_tokens": 30,
        "output_tokens": 4,
        "total_tokens": 34,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 30},
    }
    assert transcribe(client).usage is None


def test_a_transcription_may_be_billed_by_duration(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """With seconds given, these are the usage, briefly and verbosely."""
    provider.script(*[Answer("Hello.", audio_seconds=7.5)] * 2)
    assert transcribe(client).usage.to_dict() == {"type": "duration", "seconds": 7.5}
    reply = transcribe(client, response_format="verbose_json")
    assert (reply.text, reply.duration, reply.language) == ("Hello.", 7.5, "english")
    assert reply.usage.to_dict() == {"type": "duration", "seconds": 7.5}


def test_a_verbose_transcription_always_has_a_duration(client: openai.OpenAI) -> None:
    """Models that give it bill by duration, so that it is never told in tokens."""
    reply = transcribe(client, response_format="verbose_json")
    assert reply.usage.seconds == reply.duration == 3.0


def test_a_transcription_may_be_plain_text(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Formats that are no JSON are the scripted text as it stands."""
    subtitles = "1\n00:00:00,000 --> 00:00:03,000\nGrüß Gott.\n"
    provider.script(Answer("Grüß Gott."), Answer(subtitles))
    assert transcribe(client, response_format="text") == "Grüß Gott."
    assert transcribe(client, response_format="srt") == subtitles


# Forms


def test_a_form_is_logged_without_its_file(provider: LocalProvider, client: openai.OpenAI) -> None:
    """The plain fields of an upload stand in the log, repeated ones as a list."""
    transcribe(
        client,
        language="de",
        prompt="Zwei\nZeilen: äöü",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    served = provider.requests[0]
    assert (served.path, served.model, served.status) == (TRANSCRIPTIONS, "gpt-4o-transcribe", 200)
    assert served.body == {
        "model": "gpt-4o-transcribe",
        "language": "de",
        "prompt": "Zwei\nZeilen: äöü",
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
    }


def test_the_callable_sees_the_fields_of_a_form() -> None:
    """An answer can depend on the model and the language of an upload."""
    with LocalProvider(lambda request: Answer(f"{request.model} {request.body['language']}")) as p:
        client = openai.OpenAI(base_url=p.base_url, api_key="none", max_retries=0)
        assert transcribe(client, language="fr").text == "gpt-4o-transcribe fr"
        client.close()


UPLOAD_ALONE = (
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="model"\r\n\r\nm-1\r\n--x--\r\n'
)
PARTS_IN_A_FIELD = (
    b'--x\r\ncontent-disposition: form-data; name="model"\r\n'
    b"content-type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nm-1\r\n--y--\r\n\r\n--x--\r\n"
)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n--x--"),  # names no boundary
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n--y--\r\n"),
        ("Multipart/Form-Data; boundary=x", UPLOAD_ALONE),
        ("multipart/form-data; boundary=x", PARTS_IN_A_FIELD),
    ],
)
def test_bad_forms_are_refused_and_logged(provider: LocalProvider, kind: str, body: bytes) -> None:
    """A form that cannot be read, or that names no model, is refused."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    connection.request("POST", TRANSCRIPTIONS, body, {"content-type": kind})
    response = connection.getresponse()
    reply = json.loads(response.read())
    connection.close()
    assert (response.status, reply["error"]["type"]) == (400, "invalid_request_error")
    assert (provider.requests[0].body, provider.requests[0].status) == ({}, 400)


# Faults


@pytest.mark.parametrize(
    ("ask", "path"), [(draw, IMAGES), (speak, SPEECH), (transcribe, TRANSCRIPTIONS)]
)
@pytest.mark.parametrize(
    ("status", "error"), [(429, openai.RateLimitError), (500, openai.InternalServerError)]
)
def test_faults_raise_the_client_s_own_errors(
    provider: LocalProvider,
    client: openai.OpenAI,
    ask: Callable[..., Any],
    path: str,
    status: int,
    error: type[openai.APIStatusError],
) -> None:
    """Each kind of call can fail, and its next one is answered."""
    provider.script(Fault(status))
    with pytest.raises(error, match="told to fail") as caught:
        ask(client)
    served = provider.requests[0]
    assert (served.path, served.status, served.finished) == (path, status, True)
    assert caught.value.request_id == served.request_id
    ask(client)
    assert provider.count(path, 200) == 1


@pytest.mark.parametrize("ask", [draw, speak, transcribe])
@pytest.mark.parametrize("fault", [Fault(hang=0.05), Fault(drop_after=0)])
def test_connections_end_without_an_answer(
    provider: LocalProvider, client: openai.OpenAI, ask: Callable[..., Any], fault: Fault
) -> None:
    """Faults of the connection work for each kind of call."""
    provider.script(fault)
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert provider.wait_idle(5)
    assert provider.requests[0].status is None


# LiteLLM


def call(provider: LocalProvider, name: str, **options: Any) -> Any:
    """Call a function of LiteLLM, or its twin that is awaited."""
    place = {"rerank": provider.cohere_url}.get(name.removeprefix("a"), provider.base_url)
    function = getattr(litellm, name)
    reply = function(**options, api_base=place, api_key="none", max_retries=0)
    return asyncio.run(reply) if asyncio.iscoroutine(reply) else reply


CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "image_generation": ({"model": "openai/gpt-image-1", "prompt": "A fox."}, IMAGES),
    "speech": ({"model": "openai/tts-1", "voice": "alloy", "input": "Hello."}, SPEECH),
    "transcription": ({"model": "openai/gpt-4o-transcribe", "file": AUDIO}, TRANSCRIPTIONS),
    "rerank": ({"model": "cohere/rerank-v3.5", "query": "?", "documents": DOCUMENTS}, RERANK),
}
BOTH = pytest.mark.parametrize("twin", ["", "a"], ids=["sync", "async"])


@BOTH
@pytest.mark.parametrize("name", CALLS)
def test_litellm_reaches_each_endpoint(provider: LocalProvider, name: str, twin: str) -> None:
    """LiteLLM's call arrives with the model's plain name, and is answered once."""
    options, path = CALLS[name]
    call(provider, twin + name, **options)
    [served] = provider.requests
    assert (served.path, served.status, served.finished) == (path, 200, True)
    assert served.model == options["model"].partition("/")[2]


@BOTH
@pytest.mark.parametrize("name", CALLS)
def test_litellm_raises_its_own_error(provider: LocalProvider, name: str, twin: str) -> None:
    """A status of the provider is LiteLLM's exception with that status."""
    provider.script(Fault(429))
    with pytest.raises(Exception, match="told to fail") as caught:
        call(provider, twin + name, **CALLS[name][0])
    assert getattr(caught.value, "status_code", None) == 429
    assert provider.count(CALLS[name][1], 429) == provider.count() == 1


@BOTH
def test_litellm_reads_images_and_speech(provider: LocalProvider, twin: str) -> None:
    """LiteLLM finds the tokens of an image and the bytes of speech."""
    provider.script(Answer(input_tokens=9, output_tokens=272), Answer(media=b"\xff\x00"))
    image = call(provider, f"{twin}image_generation", **CALLS["image_generation"][0])
    assert (image.usage.input_tokens, image.usage.output_tokens) == (9, 272)
    assert call(provider, f"{twin}speech", **CALLS["speech"][0]).content == b"\xff\x00"


@BOTH
@pytest.mark.parametrize(
    ("model", "kind"), [("openai/whisper-1", "duration"), ("openai/gpt-4o-transcribe", "tokens")]
)
def test_litellm_reads_transcriptions(
    provider: LocalProvider, twin: str, model: str, kind: str
) -> None:
    """LiteLLM asks Whisper verbosely and finds a duration, of a newer model tokens."""
    provider.script(Answer("Hello."))
    reply = call(provider, f"{twin}transcription", model=model, file=AUDIO)
    assert (reply.text, reply.usage.type) == ("Hello.", kind)


@BOTH
def test_litellm_reads_a_ranking(provider: LocalProvider, twin: str) -> None:
    """The best documents come first with what is billed, the same for the same question."""
    provider.script(Answer(response_id="r-7", search_units=2), Answer(), Answer(usage=False))
    options = CALLS["rerank"][0]
    best = call(provider, f"{twin}rerank", **options, top_n=2)
    whole, bare = (call(provider, f"{twin}rerank", **options) for _ in range(2))
    scores = [result["relevance_score"] for result in whole.results]
    assert scores == sorted(scores, reverse=True)
    assert sorted(result["index"] for result in whole.results) == [0, 1, 2, 3]
    assert best.results == whole.results[:2]
    assert (best.id, best.meta["billed_units"]["search_units"]) == ("r-7", 2)
    assert "billed_units" not in bare.meta


def test_a_ranking_without_a_model_is_refused_as_cohere_does(provider: LocalProvider) -> None:
    """The error has Cohere's shape: an id, which is the request's, and a message."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    connection.request("POST", RERANK, b"{}")
    response = connection.getresponse()
    assert json.loads(response.read()) == {
        "id": response.getheader("x-request-id"),
        "message": "you must provide a model parameter",
    }
    connection.close()
    assert response.status == 400
