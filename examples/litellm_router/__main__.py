"""
Let the gateway answer, then show what the trail knows.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from modeltrail_litellm import install

import modeltrail
from examples.litellm_router.gateway import MODELS, Gateway
from modeltrail.testing import Answer, Fault, LocalProvider, ProviderRequest

FOLDER = Path("gateway-trail")
USERS = 40
EXPERIMENT = "gateway-model"


def provider_answer(request: ProviderRequest) -> Answer | Fault:
    """
    Answer: the cheaper model at greater length, and now and then not at all.
    """
    if request.model == MODELS["control"]:
        return Answer("It will rain.", input_tokens=40, output_tokens=12 + request.number % 5)
    if request.model == MODELS["treatment"] and request.number % 8 == 0:
        return Fault(503)
    text = "It will rain." if request.number % 3 else "It will rain, I suppose."
    return Answer(text, input_tokens=40, output_tokens=20 + request.number % 7)


def main() -> None:
    """
    Answer two questions of each user.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    url = f"sqlite:///{FOLDER}/calls.db"
    with LocalProvider(provider_answer) as provider, modeltrail.open(url) as trail:
        install(trail)
        arms = dict.fromkeys(MODELS, 0.5)
        experiment = trail.experiment(EXPERIMENT, arms, primary="cost", plan_units=USERS)
        gateway = Gateway(provider.base_url, experiment)
        for number in range(USERS):
            user = f"user-{number}"
            for day in ("today", "tomorrow"):
                answer = gateway.answer(user, f"What will the weather be {day}?")
                trail.outcome("was_sure", int("suppose" not in answer), unit=user)
        print(f"{2 * USERS} questions made {provider.count()} model calls.")
    for words in (("cost", "--by", "variant"), ("compare", EXPERIMENT)):
        print(f"\nmodeltrail {' '.join(words)}", flush=True)
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "modeltrail", "--db", url, *words], check=False
        )


if __name__ == "__main__":
    main()
