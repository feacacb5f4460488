"""
The real proxy of LiteLLM, in a process and an environment of its own.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

import httpx
import openai
from scenarios import ASKED

from modeltrail.keys import Keys
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.queries import Filters
from modeltrail.testing import LocalProvider, ServedRequest

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / ".venv-proxy" / "bin" / "litellm"

MASTER_KEY = "sk-master-4f7d0b52c9e84a61a3d1"
TEAM_KEY = "sk-virtual-9c1e77aa30d24f0cb6e5"
LIMITED_KEY = "sk-virtual-51d0b3f24e8a4c7790ab"
WRONG_KEY = "sk-virtual-00000000000000000000"
PROVIDER_KEY = "sk-provider-e1f0c2a94b7d4d5e8f36"
SECRETS = (MASTER_KEY, TEAM_KEY, LIMITED_KEY, WRONG_KEY, PROVIDER_KEY)
TRAIL_KEY = "5c" * 32

# Keys that are kept in a database need one; this is LiteLLM's door for those who keep theirs.
AUTH = f"""
from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth

KEYS = {{
    "{MASTER_KEY}": {{}},
    "{TEAM_KEY}": {{"key_alias": "berlin-app", "team_id": "t-1", "team_alias": "berlin"}},
    "{LIMITED_KEY}": {{"key_alias": "limited-app", "team_id": "t-2", "rpm_limit": 1}},
}}

async def known(request, api_key):
    if api_key not in KEYS:
        raise HTTPException(401, "nobody knows this key")
    return UserAPIKeyAuth(api_key=api_key, **KEYS[api_key])
"""

START_S = 400.0
WAIT_S = 60.0


def deployment(
    provider: LocalProvider, name: str, id: str, *, model: str = f"openai/{ASKED}", **more: Any
) -> dict[str, Any]:
    """
    Describe a deployment in the words of `config.yaml`.

    Args:
        more: Of its `model_info`; `params` of its `litellm_params`.
    """
    at = provider.anthropic_url if model.startswith("anthropic/") else provider.base_url
    params = {"model": model, "api_base": at, "api_key": PROVIDER_KEY, "max_retries": 0}
    params.update(more.pop("params", {}))
    return {"model_name": name, "litellm_params": params, "model_info": {"id": id, **more}}


class Proxy:
    """
    A proxy that runs while the block lasts, and the trail that it leaves.

    Args:
        folder: Where its configuration, its trail and its log are.
        config: The configuration; JSON is YAML.
        options: Further options of the command `litellm`.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], *options: str) -> None:
        self.folder = folder
        self._options = options
        self._log = folder / "proxy.log"
        self._port = _free_port()
        self._url = f"sqlite:///{folder}/trail/calls.db"
        (folder / "trail").mkdir()
        (folder / "auth.py").write_text(AUTH)
        settings = {
            "litellm_settings": {"callbacks": "modeltrail_litellm.proxy.logger"},
            "general_settings": {"master_key": MASTER_KEY, "custom_auth": "auth.known"},
        }
        self._config = folder / "config.yaml"
        self._config.write_text(json.dumps({**settings, **config}))

    def __enter__(self) -> Self:
        environ = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "MODELTRAIL_URL": self._url,
            "MODELTRAIL_KEY": TRAIL_KEY,
        }
        command = [PROGRAM, "--config", self._config, "--host", "127.0.0.1", "--port", self._port]
        self._process = subprocess.Popen(
            [str(word) for word in (*command, *self._options)],
            cwd=self.folder,
            env=environ,
            stdout=self._log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._await_ready()
        except BaseException:
            self.end(signal.SIGKILL)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(signal.SIGKILL)

    @property
    def url(self) -> str:
        """
        Where it listens.
        """
        return f"http://127.0.0.1:{self._port}"

    def client(self, key: str = TEAM_KEY) -> openai.OpenAI:
        """
        Make the real client.
        """
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=60)

    def aclient(self, key: str = TEAM_KEY) -> openai.AsyncOpenAI:
        """
        Make the real asynchronous client.
        """
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=60)

    def post(self, path: str, *, key: str = TEAM_KEY, **request: Any) -> httpx.Response:
        """
        Ask without a client of anybody.
        """
        headers = {"authorization": f"Bearer {key}", **request.pop("headers", {})}
        return httpx.post(f"{self.url}{path}", headers=headers, timeout=60, **request)

    def end(self, how: signal.Signals) -> None:
        """
        Send a signal, to all processes of it if it is SIGKILL, and wait; again does nothing.
        """
        if self._process.poll() is None:
            if how is signal.SIGKILL:
                os.killpg(self._process.pid, how)
            else:
                self._process.send_signal(how)
        self._process.wait(WAIT_S)

    def records(self) -> list[CallRecord]:
        """
        Return what is in the trail, in the order of the starts.
        """
        store = Store.open(self._url)
        try:
            found = store.calls(Filters(), limit=None)
        finally:
            store.close()
        return sorted((each.record for each in found), key=lambda record: record.id)

    def events(self, kind: str) -> list[dict[str, str]]:
        """
        Return the details of the events of one kind.
        """
        select = "SELECT detail FROM event WHERE kind = ? ORDER BY id"
        with closing(sqlite3.connect(self._url.removeprefix("sqlite:///"))) as connection:
            return [json.loads(detail) for (detail,) in connection.execute(select, (kind,))]

    def ref(self, person: str) -> str:
        """
        Return the reference under which a person is stored.
        """
        return Keys(bytes.fromhex(TRAIL_KEY)).ref(person)

    @property
    def stored_bytes(self) -> bytes:
        """
        All that the trail has written.
        """
        files = (each for each in (self.folder / "trail").rglob("*") if each.is_file())
        return b"".join(each.read_bytes() for each in files)

    @property
    def log(self) -> str:
        """
        What it printed.
        """
        return self._log.read_text("utf-8", "replace")

    def _await_ready(self) -> None:
        deadline = monotonic() + START_S
        while monotonic() < deadline:
            assert self._process.poll() is None, self.log
            try:
                if httpx.get(f"{self.url}/health/readiness", timeout=5).is_success:
                    return
            except httpx.TransportError:
                pass
            sleep(0.1)
        raise TimeoutError(self.log)


class Reader:
    """
    Reads what one test after the other leaves in the trail of a proxy.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._read: set[str] = set()
        self._events = 0

    def records(self, count: int) -> list[CallRecord]:
        """
        Wait for so many records that were not read yet; there must not be more.
        """
        new: list[CallRecord] = []
        deadline = monotonic() + WAIT_S
        while len(new) < count and monotonic() < deadline:
            sleep(0.05)
            new = [each for each in self._proxy.records() if each.id not in self._read]
        assert len(new) == count, self._proxy.log
        self._read.update(each.id for each in new)
        return new

    def rejections(self, count: int) -> list[dict[str, str]]:
        """
        Wait for so many events of rejected requests that were not read yet.
        """
        new: list[dict[str, str]] = []
        deadline = monotonic() + WAIT_S
        while len(new) < count and monotonic() < deadline:
            sleep(0.05)
            new = self._proxy.events("request-rejected")[self._events :]
        assert len(new) == count, self._proxy.log
        self._events += count
        return new

    def assert_all_read(self) -> None:
        """
        Assert that nothing came later, after the proxy has ended.
        """
        assert {each.id for each in self._proxy.records()} == self._read
        assert len(self._proxy.events("request-rejected")) == self._events


def served(provider: LocalProvider, path: str | None = None) -> list[ServedRequest]:
    """
    Return the model calls that the provider has seen; the proxy also asks what models there are.
    """
    return [each for each in provider.requests if each.model and path in (None, each.path)]


def _free_port() -> int:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
