"""
Where clients send their requests, as far as LangChain or the environment says.
"""

import os
from collections.abc import Mapping
from typing import Any

from modeltrail.integration import Recorder
from modeltrail_langchain.tables import ENDPOINTS

Serialized = Mapping[str, Any] | None
NOTHING: Mapping[str, Any] = {}


class Endpoints:
    """
    The endpoints of clients that can be pointed elsewhere.

    A client reads its environment when it is made; here that is read when the
    first call of its kind begins, and not again.
    """

    def __init__(self, _: Recorder) -> None:
        self._of_environment: dict[str, str | None] = {}

    def of(self, word: str | None, serialized: Serialized) -> str | None:
        """
        Return the endpoint of a client, None if it uses its own default.

        Args:
            word: LangChain's word for the provider.
            serialized: The client, as LangChain tells of it.
        """
        if word is None or (known := ENDPOINTS.get(word)) is None:
            return None
        argument, variables = known
        made_with = (serialized or NOTHING).get("kwargs")
        if made_with and (base_url := made_with.get(argument)) is not None:
            return str(base_url)
        try:
            return self._of_environment[word]
        except KeyError:
            values = map(os.environ.get, variables)
            return self._of_environment.setdefault(word, next(filter(None, values), None))
