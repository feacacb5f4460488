"""
The benchmarks of peers: the registry is whole, the sink counts, the page says what was found.
"""

import ast
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from benchmarks.peers import environments, handlers, page
from benchmarks.peers.catalogue import OTHERS, PEERS
from benchmarks.peers.dying import ENDINGS
from benchmarks.peers.estimates import extra, total
from benchmarks.peers.ingest import PLACES
from benchmarks.peers.processes import surroundings
from benchmarks.peers.servers import SERVERS
from benchmarks.peers.sink import listening

ROOT = Path(__file__).parents[1]
RUN = "0b5c8f5e-52b4-4c67-9a35-3d5f1f0f8f11"
TRACES = (b"\x01" * 16, b"\x02" * 16)


def functions_of(peer: str) -> set[str]:
    """
    Return the names that a peer's module defines; the module itself needs the peer.
    """
    source = (Path(handlers.__file__).parent / f"{PEERS[peer].module}.py").read_text("utf-8")
    names: set[str] = set()
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {each.id for each in targets if isinstance(each, ast.Name)}
    return names


def delimited(number: int, content: bytes) -> bytes:
    """
    Return a field of a protobuf message.
    """
    return bytes([number << 3 | 2, len(content)]) + content


def otlp(*traces: bytes) -> bytes:
    """
    Return an export request with a span of each trace.
    """
    # Beside its trace's id a span has a name, flags as a fixed32 and a time as a fixed64.
    spans = [
        delimited(
            2, delimited(1, each) + delimited(5, b"chat") + b"\x85\x01\1\1\1\1\x39" + b"\1" * 8
        )
        for each in traces
    ]
    return delimited(1, delimited(1, b"") + delimited(2, b"".join(spans)))


def multipart(*parts: tuple[str, str, dict[str, object]]) -> bytes:
    """
    Return what LangSmith's client sends.
    """
    shown = [
        f'--b\r\nContent-Disposition: form-data; name="{verb}.{run}"\r\n'
        f"Content-Type: application/json\r\n\r\n{json.dumps(told)}\r\n"
        for verb, run, told in parts
    ]
    return "".join([*shown, "--b--\r\n"]).encode()


SENT = {
    "otlp": ("/v1/traces", "application/x-protobuf", otlp(*TRACES, TRACES[0]), 2),
    "otlp of langfuse": (
        "/api/public/otel/v1/traces",
        "application/x-protobuf",
        otlp(TRACES[0]),
        1,
    ),
    "otlp as json": (
        "/v1/traces",
        "application/json",
        json.dumps(
            {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "0A"}, {"traceId": "0a"}]}]}]}
        ).encode(),
        1,
    ),
    "langsmith, whole run": (
        "/runs/multipart",
        "multipart/form-data; boundary=b",
        multipart(("post", RUN, {"id": RUN, "end_time": "2026-01-01"})),
        1,
    ),
    "langsmith, start alone": (
        "/runs/multipart",
        "multipart/form-data; boundary=b",
        multipart(("post", RUN, {"id": RUN, "end_time": None})),
        0,
    ),
    "langsmith, start and end": (
        "/runs/multipart",
        "multipart/form-data; boundary=b",
        multipart(("post", RUN, {"id": RUN}), ("patch", RUN, {"end_time": "2026-01-01"})),
        1,
    ),
    "opik": (
        "/api/v1/private/traces/batch",
        "application/json",
        json.dumps({"traces": [{"id": "a", "end_time": "1"}, {"id": "b"}]}).encode(),
        1,
    ),
    "something else": ("/v1/private/spans/batch", "application/json", b"{}", 0),
}


@pytest.mark.parametrize("peer", OTHERS)
def test_peer_is_whole(peer: str) -> None:
    """Every peer has requirements and a function for each framework that it is measured with."""
    entry = OTHERS[peer]
    assert entry.environment
    requirements = environments.REQUIREMENTS / f"{entry.environment}.txt"
    lines = requirements.read_text("utf-8").splitlines()
    assert "-r frameworks.txt" in lines
    assert all(">=" in line for line in lines if not line.startswith(("-r ", "#")))
    assert set(entry.frameworks) <= functions_of(peer)


def test_requirements_belong_to_peers() -> None:
    """There is no file of requirements that nobody needs."""
    found = {each.stem for each in environments.REQUIREMENTS.glob("*.txt")}
    assert found == {each.environment for each in OTHERS.values()} | {"frameworks"}


@pytest.mark.parametrize("place", PLACES)
def test_place_is_whole(place: str) -> None:
    """Every store has a peer that fills it and, if it needs one, a server."""
    entry = PLACES[place]
    assert "records" in functions_of(entry.peer)
    assert entry.server is None or entry.server in SERVERS
    assert entry.server or PEERS[entry.peer].kept


def test_peers_see_nothing_of_the_developers_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A key, an address or a proxy of the developer's reaches no peer."""
    for name in ("LANGFUSE_PUBLIC_KEY", "OPENAI_API_KEY", "HTTPS_PROXY", "OTEL_BSP_SCHEDULE_DELAY"):
        monkeypatch.setenv(name, "theirs")
    for peer in PEERS.values():
        seen = surroundings(peer, sink="http://127.0.0.1:9", folder=tmp_path, raised=True)
        assert "theirs" not in seen.values()
        assert seen["HOME"] == str(tmp_path)


def test_messages_name_no_places() -> None:
    """What an installer complains of is kept without registries and folders."""
    said = "resolving\n  x from https://user:secret@registry.example/simple in /root/cache failed\n"
    kept = environments.without_places(said)
    assert "failed" in kept
    assert not {"registry", "secret", "root"} & set(kept.replace("/", " ").split())


@pytest.mark.parametrize("sent", SENT)
def test_sink_counts_calls(sent: str) -> None:
    """A call that has ended counts once, whatever a peer sends it in."""
    path, kind, body, calls = SENT[sent]
    with listening() as sink:
        for _ in range(2):
            request = urllib.request.Request(sink.url + path, body, {"Content-Type": kind})
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        assert sink.count() == calls
        sink.empty()
        assert sink.count() == 0


def rounds(none: float, peer: float, *, launches: int = 2) -> list[list[dict[str, object]]]:
    """
    Return blocks of 6 rounds each, that differ a little.
    """
    return [
        [
            {
                "none": {"caller": none + step, "process": none + step},
                "peer": {"caller": peer + 2 * step, "process": peer + 2 * step},
                "calls": 10,
                "missing": 1 if step == 5 else 0,
            }
            for step in range(6)
        ]
        for _ in range(launches)
    ]


def about(*names: str) -> dict[str, object]:
    """
    Return the surroundings of a small measurement.
    """
    told = {
        name: {
            "title": PEERS[name].title,
            "versions": {name: "1.2.3"},
            "frameworks": {"langchain-core": "1.7.2"},
            "pins": "frameworks",
            "error": None,
            "settings": [],
            "raised": {"QUEUE": "7"},
            "kept": "the sink",
        }
        for name in names
    }
    machine = {"date": "2026-01-02", "python": "3.11.9", "machine": "3 CPUs", "load": 0.5}
    return machine | {"home_alone": {"NO_TELEMETRY": "1"}, "peers": told}


RESULTS = {
    "survival": {
        "about": about("ours", "langfuse", "opik"),
        "calls": 20,
        "rounds": 2,
        "endings": ["normal exit", "SIGKILL"],
        "peers": {
            "ours": {
                "normal exit": {"arrived": [20, 20], "hung": [False] * 2, "reopened": [20, 20]},
                "SIGKILL": {"arrived": [0, 3], "hung": [False] * 2, "reopened": [20, 20]},
            },
            "langfuse": {
                "normal exit": {"arrived": [20, 20], "hung": [False] * 2},
                "SIGKILL": {"arrived": [5, 7], "hung": [False, True]},
            },
            "opik": {"error": "no wheel for this machine"},
        },
    },
    "overhead": {
        "about": about("ours", "langfuse", "opik"),
        "launches": 2,
        "rounds": 12,
        "frameworks": {
            "langchain": {
                "ours": {"blocks": rounds(100, 200)},
                "langfuse": {"blocks": rounds(100, 150)},
                "opik": {"blocks": rounds(100, 98)},
            },
            "litellm": {"opik": {"blocks": [], "error": "it fell over"}},
            "llama_index": {},
        },
    },
    "ingest": {
        "about": about("ours", "phoenix"),
        "launches": 1,
        "rounds": 6,
        "places": {
            "ours-sqlite": {
                "blocks": [[{"process": 70.0, "server": 0.0, "calls": 9, "missing": 0}] * 6]
            },
            "phoenix-sqlite": {
                "blocks": [[{"process": 90.0, "server": 610.0, "calls": 9, "missing": 0}] * 6]
            },
        },
    },
}
SHOWN = {
    "how it was measured": "| overhead | 2026-01-02 | 3 CPUs | 3.11.9 | 0.5 | 12 | 2 |",
    "who": "| Langfuse | langfuse 1.2.3 | langchain-core 1.7.2 | the sink |",
    "what survived": "| modeltrail, SQLite | 20 | 20 (before the next open: 0 .. 3) |",
    "a range, and a process that hung": "| Langfuse | 20 | 5 .. 7 (hung) |",
    "who could not be run": "| Opik | not run | not run |",
    "why": "- Opik, all endings: no wheel for this machine\n",
    "a cost, in ratio to ours": "| Langfuse | 102 | 52 [51 .. 54] | 52 .. 52 | 0.5 |",
    "an unresolved cost": "| Opik | 102 | 0 [-1 .. 2], not resolved | 0 .. 0 | - |",
    "what did not arrive": "| 118 of 120 |",
    "a cost that could not be measured": "| Opik | not run | - |",
    "a store": "| 90 [90 .. 90] | 610 [610 .. 610] | 700 [700 .. 700] | 700 .. 700 | 10.0 |",
    "a loss in cost": "- LangChain `invoke`, caller's thread: Langfuse adds less.",
    "a loss in survival": "ours had before the next open: after SIGKILL.",
    "what was not as it comes": "- Langfuse: `QUEUE=7`",
}


@pytest.mark.parametrize("what", SHOWN)
def test_page_shows(what: str) -> None:
    """The page tells what the results hold, our losses and the failures included."""
    assert SHOWN[what] in page.render(RESULTS)


def test_overlapping_is_no_loss() -> None:
    """Who is not resolved to be below ours is not said to be."""
    ours, near, far = (extra(rounds(100, peer), "caller") for peer in (200, 199, 150))
    assert ours and near and far
    assert far.is_below(ours)
    assert not near.is_below(ours)


def test_page_of_nothing_renders() -> None:
    """Without a measurement there is a page that says so by having no tables of figures."""
    assert "## What a call costs" not in page.render({})


def test_rounds_must_be_enough() -> None:
    """Fewer than six rounds give no interval, and no figure."""
    few = [[{"process": 1.0, "server": 0.0}] * 5]
    assert total(few, "process", "server") is None
    assert extra([], "caller") is None


def test_launches_that_disagree_are_not_resolved() -> None:
    """Two pairs of processes that differ in sign resolve nothing, however many rounds agree."""
    up, down = rounds(100, 110, launches=1)[0], rounds(100, 80, launches=1)[0]
    estimate = extra([up, up, up, down], "caller")
    assert estimate is not None
    assert not estimate.resolved


def test_page_is_rendered_from_the_results() -> None:
    """No figure of the page is typed by hand: it is what the renderer makes of the results."""
    results = json.loads((ROOT / "benchmarks" / "peers" / "results.json").read_text("utf-8"))
    assert (ROOT / "docs" / "benchmarks.md").read_text("utf-8") == page.render(results)


@pytest.mark.slow
def test_survival_needs_no_peer(tmp_path: Path) -> None:
    """Ours alone can be measured without any peer's environment, and survives every ending."""
    out = tmp_path / "results.json"
    words = ["survival", "--only", "ours,none", "--quick", "--out", str(out)]
    subprocess.run([sys.executable, "-m", "benchmarks.peers", *words], check=True, cwd=ROOT)
    ours = json.loads(out.read_text("utf-8"))["survival"]["peers"]["ours"]
    assert {ending: ours[ending]["reopened"] for ending in ENDINGS} == dict.fromkeys(ENDINGS, [20])
