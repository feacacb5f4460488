"""
An application on LangChain: a chat model with a handler in its config.
"""

from functools import cache

import openai
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler

from examples.demo.world import API_KEY, ATTEMPTS, Task
from modeltrail.trail import Trail


class LangChainApp:
    """
    Asks with `invoke`, retried by LangChain, and with `stream`, retried here.
    """

    def __init__(self, trail: Trail, base_url: str) -> None:
        self._config = RunnableConfig(callbacks=[TrailCallbackHandler(trail)])
        self._model = cache(lambda name: _model(name, base_url))

    def ask(self, task: Task) -> None:
        """
        Ask one question.
        """
        model = self._model(task.model)
        if not task.streamed:
            patient = model.with_retry(
                stop_after_attempt=ATTEMPTS,
                wait_exponential_jitter=False,
                exponential_jitter_params={"initial": 0, "max": 0},
            )
            patient.invoke(task.prompt, config=self._config)
            return
        for _ in range(ATTEMPTS):
            try:
                for _ in model.stream(task.prompt, config=self._config):
                    pass
            except openai.APIStatusError:
                continue
            return

    def close(self) -> None:
        """
        Let go of what it holds: nothing.
        """


def _model(name: str, base_url: str) -> ChatOpenAI:
    return ChatOpenAI(
        model=name, base_url=base_url, api_key=API_KEY, max_retries=0, stream_usage=True
    )
