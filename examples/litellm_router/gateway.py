"""
A gateway on LiteLLM's Router: two deployments of one group, and one to fall back to.

Nothing here knows of the trail but the tags and the experiment: `install`, in
`__main__.py`, records every model call of the process.
"""

from typing import Any

import litellm
from modeltrail_litellm import deployment_for

import modeltrail
from modeltrail.experiment.assign import Experiment

MODELS = {"control": "gpt-4o", "treatment": "gpt-4o-mini"}
SPARE = "gpt-4.1-mini"
INSTRUCTIONS = "Answer in one sentence."


class Gateway:
    """
    Answers questions of users, each by the deployment of the user's variant.
    """

    def __init__(self, base_url: str, experiment: Experiment) -> None:
        self._experiment = experiment

        def deployment(group: str, variant: str, model: str) -> dict[str, Any]:
            params = {
                "model": f"openai/{model}",
                "api_base": base_url,
                "api_key": "sk-local-provider-needs-none",
                "max_retries": 0,
            }
            info = {"id": f"{variant}-1", "variant": variant}
            return {"model_name": group, "litellm_params": params, "model_info": info}

        arms = [deployment("chat", variant, model) for variant, model in MODELS.items()]
        self._router = litellm.Router(
            model_list=[*arms, deployment("spare", "spare", SPARE)],
            # A pinned deployment is named by its id.
            fallbacks=[{f"{variant}-1": ["spare"]} for variant in MODELS],
            num_retries=0,
        )

    def answer(self, user: str, question: str) -> str:
        """
        Return the answer.
        """
        with modeltrail.tag(feature="gateway", user=user):
            assignment = self._experiment.assign(user)
            reply = self._router.completion(
                model=deployment_for(self._router, "chat", assignment),
                messages=[
                    {"role": "system", "content": INSTRUCTIONS},
                    {"role": "user", "content": question},
                ],
            )
        return str(reply.choices[0].message.content)
