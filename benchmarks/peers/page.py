"""
The page `docs/benchmarks.md`: words from here, every figure from the results.
"""

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.peers import tables
from benchmarks.peers.catalogue import FRAMEWORKS

HEAD = """\
# Beside others

Others record model calls, too. Here they stand beside modeltrail: what is left when a process
ends, what a call costs, what a record costs. The page is made by `make bench-peers` from
`benchmarks/peers/results.json`; no figure in it is typed by hand. What modeltrail costs beside
the least that such a handler can cost is told in [What a call costs](explanation/overhead.md).

## How it was measured

Each peer has an environment of its own, with the same versions of the frameworks as far as its
requirements allow, and is hooked in as its makers document it. What it sends goes to a sink on
this machine, where calls are counted by the peer's own ids: a call that was dropped cannot look
like one that was cheap. The models answer at once and without a network, so that the recording
alone is seen; beside the waiting for a real model it is small.
"""
SURVIVAL = """\
## What is left when a process ends

A process makes calls that return to it, and then ends, without flush, close or wait. Everything
is as it comes: no setting differs from the default, but for addresses, dummy keys and telemetry.
In the last two columns the process hooks the peer in and forks, the child makes the calls, and
ends by `os._exit` or by returning from its function; the parent ends normally. A range stands
where the rounds differ. For modeltrail the count is that after the next `modeltrail.open` of the
same database, which is part of what it promises; what was in the database before stands beside it.

{table}

A peer that sends in batches loses what is in its queue: the calls of the last seconds, not those
of the whole life of a process. Only what had ended counts. A trace of which a part arrived counts
as arrived, in the peer's favour. Phoenix's default sends each span at once, on the thread that
made the call: it keeps every call, and what that costs stands below.
"""
OVERHEAD = """\
## What a call costs

Microseconds of CPU for each call, beyond the same call without a handler *in the same
environment*: two processes, the peer's and nobody's, take turns on one CPU. Median and 95 %
interval of the rounds' differences; "launches" is the range of the medians of single pairs of
processes, since what a process happens to be like lasts as long as it does. *Not resolved*: one
of the two encloses zero. "Alone" is the framework's own time on the caller's thread. "Whole
process" is all threads until the last call of a block had arrived. "x ours" is the ratio of the
medians.

{tables}

LiteLLM tells of a call's end on a thread of its own: a peer that listens to nothing else is in the
process's figure and hardly in the caller's.
"""
INGEST = """\
## What a record costs until it is durable

No framework takes part: each store is given records through its own face, and the figure is all
CPU of the process, and of the server behind the store until that is idle again.

{table}

The stores do not keep the same: MLflow and Phoenix keep the texts of prompt and answer and a trace
with spans, modeltrail keeps keyed digests of the texts, price and tags in one row.
"""
LOSSES = """\
## Where modeltrail is behind

What follows is picked from the figures above by rule: somebody else's intervals lie below ours as
a whole, or more calls had arrived.

{lines}

Beside the figures:

- modeltrail keeps no texts: whoever wants to read prompts is better served by any of the others.
- Calls that survive a killed process are in its spool, not in its database, until somebody opens
  the trail again, or a process that has it open brings them in.
- On the thread that calls LiteLLM a peer that listens to ends alone does nothing, and modeltrail
  appends what a call's start is. Between processes that is hardly resolved; in one process it is:
  see [What a call costs](explanation/overhead.md).
"""
SETTINGS = """\
## What was not as it comes

All have an address on this machine, dummy keys, a temporary home and no telemetry: {names}.
The sink tells LangSmith's client not to compress with zstd; Phoenix is told to send over HTTP, not
gRPC. Where costs are measured, and only there, queues are raised so that none overflows in a
burst, and those that can only be waited for are told to send earlier:

{lines}
"""
MISSING = """\
## What was not measured, and why

{failures}\
- Langfuse and LangSmith in LlamaIndex, LangSmith and OpenLLMetry in LiteLLM: no handler of the
  peer's own was found for it.
- The servers of Langfuse, LangSmith and Opik: they take several containers or an account.
- Weave, Braintrust, Logfire, Helicone, Datadog: not set up. Weave has a write-ahead log, off by
  default, which would be the nearest relative of our spool.
- A child that hooks the peer in by itself, instead of taking it over from its parent.
- Streams, asynchronous calls, chains and agents: one call at a time is what all can be compared in.
- The caller's waiting: all figures are CPU times. Phoenix's default lets the caller wait for its
  server's answer with each call, and that is in none of them.
"""
NOTHING = "- Nothing."


def render(results: dict[str, Any]) -> str:
    """
    Return the page; a section that was not measured is left out.
    """
    sections = [write(results[name]) for name, write in SECTIONS.items() if name in results]
    return "\n".join(
        [
            HEAD,
            f"{tables.runs(results)}\n",
            f"{tables.peers(results)}\n",
            *sections,
            LOSSES.format(lines=_list(tables.losses(results)) or NOTHING),
            _settings(results),
            MISSING.format(failures="".join(f"- {each}\n" for each in tables.failures(results))),
        ]
    )


def _survival(section: dict[str, Any]) -> str:
    return SURVIVAL.format(table=tables.survival(section))


def _overhead(section: dict[str, Any]) -> str:
    each = (tables.overhead(section, name) for name in FRAMEWORKS if section["frameworks"][name])
    return OVERHEAD.format(tables="\n\n".join(each))


def _ingest(section: dict[str, Any]) -> str:
    return INGEST.format(table=tables.ingest(section))


def _settings(results: dict[str, Any]) -> str:
    abouts = [section["about"] for section in results.values()]
    names = sorted({f"`{name}`" for about in abouts for name in about["home_alone"]})
    raised = {
        f"{peer['title']}: {_assignments(peer['raised'])}"
        for about in abouts
        for peer in about["peers"].values()
        if peer["raised"]
    }
    return SETTINGS.format(names=", ".join(names), lines=_list(sorted(raised)) or NOTHING)


def _assignments(variables: dict[str, str]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in variables.items())


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "survival": _survival,
    "overhead": _overhead,
    "ingest": _ingest,
}
