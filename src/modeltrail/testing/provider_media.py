"""
OpenAI's protocol of images and audio: generated images, speech, transcriptions.

The shapes follow the public API reference. Nothing is streamed here.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping

from .provider_openai import error
from .provider_types import Answer, Json, ProviderRequest
from .provider_wire import Payload, Routes, WireFormat

# A PNG of one transparent pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
# A frame of MP3 that is silent: 32 kbit/s, 44.1 kHz, mono.
SILENCE = b"\xff\xfb\x10\xc4" + bytes(100)
SECONDS = 3.0

AUDIO_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def images(request: ProviderRequest, answer: Answer) -> Json:
    """
    Build as many images as were asked for: their bytes, or a URL if that was asked for.
    """
    data = [_image(request, answer, index) for index in range(request.body.get("n") or 1)]
    return {"created": int(time.time()), "data": data} | _usage(answer, image_usage)


def _image(request: ProviderRequest, answer: Answer, index: int) -> Json:
    if request.body.get("response_format") == "url":
        return {"url": f"http://127.0.0.1/{answer.response_id}/{index}.png"}
    return {"b64_json": base64.b64encode(_media(answer, PIXEL)).decode()}


def image_usage(answer: Answer) -> Json:
    """
    Build the usage of images that were generated from text alone.
    """
    details = {"text_tokens": answer.input_tokens, "image_tokens": 0}
    return _tokens(answer) | {"input_tokens_details": details}


def speech(request: ProviderRequest, answer: Answer) -> Payload:
    """
    Give the bytes of speech under the type of the format asked for. There is no place for usage.
    """
    kind = AUDIO_TYPES.get(request.body.get("response_format") or "mp3", AUDIO_TYPES["mp3"])
    return Payload(kind, _media(answer, SILENCE))


def transcription(request: ProviderRequest, answer: Answer) -> Json | Payload:
    """
    Build a transcription in the format asked for; one that is no JSON is the text as it stands.
    """
    build = TRANSCRIPTS.get(request.body.get("response_format") or "json", _plain)
    return build(answer)


def _plain(answer: Answer) -> Payload:
    return Payload("text/plain; charset=utf-8", _text(answer).encode())


def _brief(answer: Answer) -> Json:
    by_tokens = answer.audio_seconds is None
    return {"text": _text(answer)} | _usage(answer, token_usage if by_tokens else duration_usage)


def _verbose(answer: Answer) -> Json:
    # Only a model that is billed by duration gives this format.
    told = {"task": "transcribe", "language": "english", "duration": _seconds(answer)}
    return told | {"text": _text(answer), "segments": []} | _usage(answer, duration_usage)


TRANSCRIPTS: Mapping[str, Callable[[Answer], Json | Payload]] = {
    "json": _brief,
    "verbose_json": _verbose,
}


def token_usage(answer: Answer) -> Json:
    """
    Build the usage of a transcription that is billed by tokens, all of its input being audio.
    """
    details = {"text_tokens": 0, "audio_tokens": answer.input_tokens}
    return {"type": "tokens"} | _tokens(answer) | {"input_token_details": details}


def duration_usage(answer: Answer) -> Json:
    """
    Build the usage of a transcription that is billed by the length of its audio.
    """
    return {"type": "duration", "seconds": _seconds(answer)}


def _tokens(answer: Answer) -> Json:
    return {
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


def _usage(answer: Answer, build: Callable[[Answer], Json]) -> Json:
    return {"usage": build(answer)} if answer.usage else {}


def _media(answer: Answer, usual: bytes) -> bytes:
    return usual if answer.media is None else answer.media


def _seconds(answer: Answer) -> float:
    return SECONDS if answer.audio_seconds is None else answer.audio_seconds


def _text(answer: Answer) -> str:
    return answer.content or ""


ROUTES: Routes = {
    ("POST", "/v1/images/generations"): WireFormat(images, error, id_prefix="img-"),
    ("POST", "/v1/audio/speech"): WireFormat(speech, error),
    ("POST", "/v1/audio/transcriptions"): WireFormat(transcription, error),
}
