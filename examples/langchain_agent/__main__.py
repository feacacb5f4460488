"""
Let the support desk answer, then show what the trail knows.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from modeltrail_langchain import install

import modeltrail
from examples.langchain_agent.agent import MODELS, SupportDesk
from modeltrail.testing import Answer, LocalProvider, ProviderRequest

FOLDER = Path("agent-trail")
USERS = 40
EXPERIMENT = "support-model"


def provider_answer(request: ProviderRequest) -> Answer:
    """
    Ask for the tool first, then answer: the cheaper model at greater length.
    """
    last = request.body["messages"][-1]
    if last["role"] != "tool":
        order = last["content"].rsplit(maxsplit=1)[-1].strip("?")
        call = ("order_status", json.dumps({"order": order}))
        return Answer(tool_calls=(call,), input_tokens=180, output_tokens=20)
    number = int("".join(filter(str.isdigit, last["content"])))
    if request.model == MODELS["control"]:
        return Answer(last["content"], input_tokens=230, output_tokens=30 + number % 7)
    # The cheaper model writes more, and now and then forgets what it was told.
    text = "I am not sure." if number % 9 == 0 else f"{last['content']} Anything else?"
    return Answer(text, input_tokens=230, output_tokens=50 + number % 11)


def main() -> None:
    """
    Answer a question of each user.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    url = f"sqlite:///{FOLDER}/calls.db"
    with LocalProvider(provider_answer) as provider, modeltrail.open(url) as trail:
        install(trail)
        experiment = trail.experiment(EXPERIMENT, dict.fromkeys(MODELS, 0.5), unit="user")
        desk = SupportDesk(provider.base_url, experiment)
        for number in range(USERS):
            user = f"user-{number}"
            pieces: list[str] = []
            desk.answer(user, f"Where is order {1000 + number}?", pieces.append)
            trail.outcome("resolved", int("warehouse" in "".join(pieces)), unit=user)
        print(f"{USERS} questions made {provider.count()} model calls.")
    for words in (("cost", "--by", "variant"), ("compare", EXPERIMENT)):
        print(f"\nmodeltrail {' '.join(words)}", flush=True)
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "modeltrail", "--db", url, *words], check=False
        )


if __name__ == "__main__":
    main()
