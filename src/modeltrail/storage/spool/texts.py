"""
The sealed texts of a segment's frames, in a file of their own.
"""

import os
from pathlib import Path

from modeltrail.storage.spool.frames import Place


class Texts:
    """
    A file of texts. It is made with the first text, and may go before the frames do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, sealed: bytes) -> Place:
        """
        Append the texts of a frame that will be appended to the same segment.

        Raises:
            OSError: The disk did not take all of them.
        """
        # A descriptor of its own: its position after the write is the end of what
        # this write appended, whoever else is appending.
        descriptor = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            written = os.write(descriptor, sealed)
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
        finally:
            os.close(descriptor)
        if written < len(sealed):
            raise OSError(f"the disk took {written} of {len(sealed)} bytes")
        return Place(end - written, written)

    @property
    def size(self) -> int:
        """
        How many bytes there are.
        """
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0
