"""
For tests of applications that record their calls, and for our own.

`capture_records` collects records without a database; `LocalProvider` is a
model provider on 127.0.0.1 for the frameworks' real clients.
"""

from modeltrail.testing.capture import CapturedTrail, capture_records
from modeltrail.testing.provider import LocalProvider
from modeltrail.testing.provider_types import (
    Answer,
    Fault,
    ProviderRequest,
    ServedRequest,
    ToolCall,
)

__all__ = [
    "Answer",
    "CapturedTrail",
    "Fault",
    "LocalProvider",
    "ProviderRequest",
    "ServedRequest",
    "ToolCall",
    "capture_records",
]
