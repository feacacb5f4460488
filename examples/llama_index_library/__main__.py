"""
Let readers ask the library, then show what the trail knows.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

from modeltrail_llama_index import instrument

import modeltrail
from examples.llama_index_library.library import MODELS, Library
from modeltrail.testing import Answer, LocalProvider, ProviderRequest

FOLDER = Path("library-trail")
READERS = 24
EXPERIMENT = "library-model"


def provider_answer(request: ProviderRequest) -> Answer:
    """
    Look up first where there is a tool, then answer: the cheaper model at greater length.
    """
    messages = request.body.get("messages", [{"role": "user"}])
    if "tools" in request.body and messages[-1]["role"] != "tool":
        call = ("look_up", json.dumps({"topic": "spiders"}))
        return Answer(tool_calls=(call,), input_tokens=120, output_tokens=15)
    length = 20 if request.model == MODELS["control"] else 35
    return Answer("Eight.", input_tokens=210, output_tokens=length + request.number % 7)


def main() -> None:
    """
    Let each reader search and ask.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    url = f"sqlite:///{FOLDER}/calls.db"
    with LocalProvider(provider_answer) as provider, modeltrail.open(url) as trail:
        with instrument(trail):
            experiment = trail.experiment(EXPERIMENT, dict.fromkeys(MODELS, 0.5), unit="user")
            library = Library(provider.base_url, experiment)
            for number in range(READERS):
                reader = f"reader-{number}"
                found = library.search(reader, "How many legs has a spider?")
                asked = asyncio.run(library.ask(reader, "And how many has it really?"))
                trail.outcome("agreed", int(found == asked), unit=reader)
        print(f"{READERS} readers made {provider.count()} model calls.")
    for words in (("cost", "--by", "feature,variant"), ("compare", EXPERIMENT)):
        print(f"\nmodeltrail {' '.join(words)}", flush=True)
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "modeltrail", "--db", url, *words], check=False
        )


if __name__ == "__main__":
    main()
