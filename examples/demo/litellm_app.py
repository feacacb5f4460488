"""
An application on LiteLLM: a Router with a deployment for each model.
"""

import os

# Before the import of litellm, which would download prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm
from modeltrail_litellm import install, uninstall

from examples.demo.world import API_KEY, ATTEMPTS, MODELS, Task
from modeltrail.trail import Trail


class LiteLLMApp:
    """
    Asks through a Router, which retries.
    """

    def __init__(self, trail: Trail, base_url: str) -> None:
        litellm.suppress_debug_info = True
        self._logger = install(trail)
        self._router = litellm.Router(
            model_list=[_deployment(name, base_url) for name in MODELS.values()],
            num_retries=ATTEMPTS - 1,
            retry_after=0,
            disable_cooldowns=True,
        )

    def ask(self, task: Task) -> None:
        """
        Ask one question.
        """
        messages = [{"role": "user", "content": task.prompt}]
        if not task.streamed:
            self._router.completion(task.model, messages)
            return
        for _ in self._router.completion(
            task.model, messages, stream=True, stream_options={"include_usage": True}
        ):
            pass

    def close(self) -> None:
        """
        Stop recording.
        """
        uninstall(self._logger)


def _deployment(name: str, base_url: str) -> dict[str, object]:
    parameters = {"model": f"openai/{name}", "api_base": base_url, "api_key": API_KEY}
    return {"model_name": name, "litellm_params": {**parameters, "max_retries": 0}}
