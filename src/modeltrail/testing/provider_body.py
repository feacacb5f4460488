"""
What clients send, as values: JSON objects, and the plain fields of forms.
"""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterator
from email.message import EmailMessage

from .provider_types import Json

FORM = "multipart/form-data"


def parse_body(raw: bytes, content_type: str) -> Json | None:
    """
    Parse the body of a request.

    Args:
        raw: The bytes.
        content_type: What the client says they are; all but forms are read as JSON.

    Returns:
        The JSON object, or the fields of the form without its files; ``None`` if it is neither.
    """
    if content_type.lower().startswith(FORM):
        return _parse_form(raw, content_type)
    return _parse_json(raw)


def _parse_json(raw: bytes) -> Json | None:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _parse_form(raw: bytes, content_type: str) -> Json | None:
    # A form is a MIME message whose head has gone ahead as headers of HTTP.
    head = f"content-type: {content_type}\r\n\r\n".encode()
    form = email.message_from_bytes(head + raw, policy=email.policy.HTTP)
    if not form.is_multipart():
        return None
    body: Json = {}
    for name, value in _fields(form):
        # By convention a list is sent as one field per member, with brackets in the name.
        if name.endswith("[]"):
            body.setdefault(name, []).append(value)
        else:
            body[name] = value
    return body


def _fields(form: EmailMessage) -> Iterator[tuple[str, str]]:
    for part in form.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and part.get_filename() is None:
            # A part made of parts has no bytes of its own.
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                yield name, payload.decode(errors="replace")
