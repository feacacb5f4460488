"""
The composition root: joins recorder, spool, writer and store into a trail.
"""

import atexit
import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import RLock
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self, get_args

import msgspec
from structlog.typing import Processor, WrappedLogger

from modeltrail import context, prices
from modeltrail.capture import CapturePolicy, policy_from
from modeltrail.errors import ConfigurationError, KeyMismatchError
from modeltrail.experiment.assign import Assignment, Experiment
from modeltrail.experiment.buckets import HashVersion, Namespace
from modeltrail.experiment.declaration import KIND as DECLARED
from modeltrail.experiment.declaration import Declaration, Guardrail
from modeltrail.keys import Keys, load_keys
from modeltrail.pipeline import Pipeline
from modeltrail.prices import PriceBook
from modeltrail.problems import Problems
from modeltrail.record import CaptureMode, Durability, Frame, FrameKind
from modeltrail.recorder import Recorder
from modeltrail.signals import before_end_of_child, before_sigterm
from modeltrail.storage import Store
from modeltrail.storage.background import Background, Settings
from modeltrail.storage.rows import CREATED_ID, Batch, created_event
from modeltrail.storage.spool import LIMIT_BYTES, foreign

DEFAULT_URL = "sqlite:///modeltrail.db"
CLOSE_TIMEOUT_S = 5.0
# For what a framework tells late of calls that have ended.
LATE_S = 5.0
HEALTH_EVENT = "trail_health"
# Sixteen segments, each of which holds some hundred calls.
LEAST_LIMIT_BYTES = 4 * 1024 * 1024
MICROS = 1_000_000
# Of the databases' BIGINT.
_MOST_MICROS = 2**63 - 1


class Health(NamedTuple):
    """
    How a trail is doing, in this process.

    Attributes:
        open_calls: Calls that have started and not ended.
        waiting_frames: What was appended to the spool and not read yet by the
            writer; a call is two frames.
        spool_bytes: The size of the spool's files.
        spool_limit_bytes: How large they may grow.
        problems: What went wrong inside, by kind.
        drops: What was lost, by reason and kind.
        last_commit_us: When rows were last stored, microseconds UTC.
        last_error: Kind and type of the last error that was caught.
        foreign_spools: Spools that another version of modeltrail left; they
            are not touched.
    """

    open_calls: int
    waiting_frames: int
    spool_bytes: int
    spool_limit_bytes: int
    problems: Mapping[str, int]
    drops: Mapping[str, int]
    last_commit_us: int | None
    last_error: str | None
    foreign_spools: tuple[str, ...]


class Trail:
    """
    An open trail: hand it to the frameworks' handlers.

    Make one with `modeltrail.open`. It may be used from any thread, and as a
    context manager that closes it.

    Attributes:
        recorder: Where handlers start their calls.
        store: The database, for reading.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        policy: CapturePolicy,
        *,
        settings: Settings,
        defaults: Mapping[str, Any],
        processors: Iterable[Processor],
        mirror: WrappedLogger | None,
        book: PriceBook,
    ) -> None:
        self.store = store
        self._keys = keys
        self._settings = settings
        self._mirror = mirror
        self._problems = Problems()
        self._pipeline = Pipeline(processors, mirror=mirror, book=book, problems=self._problems)
        self.recorder = Recorder(
            self._refuse, keys, policy=policy, defaults=defaults, problems=self._problems
        )
        # Ids of the declarations that were entered.
        self._declared: set[str] = set()
        # In a forked child several threads may make its first call.
        self._beginning = RLock()
        self._stored_at_exit = True
        # None in a forked child until its first call.
        self._background: Background | None = self._new_background(adopt_at_once=True)
        self.recorder.sink = self._background.start()
        _living.add(self)
        self._background.await_replay()

    def outcome(
        self,
        name: str,
        value: float,
        *,
        call: str | None = None,
        trace: str | None = None,
        session: str | None = None,
        unit: str | None = None,
    ) -> None:
        """
        Record a business or quality metric of what the calls were for.

        It may come long after the call. Told again of the same call, trace or
        session, the last value counts; of a unit each is one more observation,
        and counts in an experiment from the unit's first call there on.

        Args:
            name: The metric, such as `resolved`.
            value: Its value; kept to six decimals.
            call: The id of one call.
            trace: The id of a trace.
            session: A session, as it was given to `modeltrail.tag`.
            unit: A unit of an experiment, as it was given to `assign`.

        Raises:
            ConfigurationError: Not exactly one of the four is given, or the
                value is no number, or one beyond 9e12, which no database takes.
        """
        joins = {
            "call_id": call,
            "trace_id": trace,
            "session_ref": None if session is None else self.recorder.ref(session),
            "unit_ref": None if unit is None else self.recorder.ref(unit),
        }
        given = {column: value for column, value in joins.items() if value is not None}
        if len(given) != 1:
            raise ConfigurationError("an outcome belongs to one of call, trace, session or unit")
        try:
            micros = round(float(value) * MICROS)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigurationError(f"the outcome {name!r} is no number: {value!r}") from error
        if abs(micros) > _MOST_MICROS:
            raise ConfigurationError(f"the outcome {name!r} is too large: {value!r}")
        self.recorder.emit(FrameKind.OUTCOME, {"name": name, "value_micros": micros, **given})

    def experiment(
        self,
        key: str,
        arms: Mapping[str, float],
        *,
        unit: str = "user",
        coverage: float = 1.0,
        control: str | None = None,
        primary: str | None = None,
        guardrails: Mapping[str, float] | None = None,
        plan_units: int | None = None,
        alpha: float = 0.05,
        seed: str | None = None,
        namespace: tuple[str, float, float] | None = None,
        hash_version: HashVersion = 2,
    ) -> Experiment:
        """
        Declare an experiment; its assignments tag the calls that follow.

        The declaration is an event of the trail, entered before any call of
        it. Declaring the same again adds nothing. Another one under the same
        key is entered beside it; if units get other chances by it, because
        arms, weights or coverage have changed, a new phase begins.

        Args:
            key: Names the experiment; also the seed of its hash.
            arms: Variant -> weight; the weights add up to 1.
            unit: What is randomised: `user`, `session` or `call`.
            coverage: The share of units that take part.
            control: The arm that others are compared with.
            primary: The metric that decides, such as `cost`.
            guardrails: Metric -> how much worse still counts as not worse:
                absolute, in the metric's unit of measure, more than 0.
            plan_units: How many units, in all arms together, are planned.
            alpha: One less the confidence level.
            seed: Seed of the hash if it is not the key.
            namespace: Id, start and end of the part of all units that this
                experiment may have, if it shares them with others.
            hash_version: Version of GrowthBook's hash, 1 or 2.

        Raises:
            ConfigurationError: They make no experiment, or none that could be
                judged like this.
        """
        declaration = Declaration(
            key,
            arms,
            unit,
            coverage=coverage,
            control=control,
            primary=primary,
            guardrails=tuple(Guardrail(*each) for each in (guardrails or {}).items()),
            plan_units=plan_units,
            alpha=alpha,
            seed=seed,
            namespace=namespace and Namespace(*namespace),
            hash_version=hash_version,
        )
        self._declare(declaration)
        return declaration.experiment(_bind)

    def flush(self, timeout: float | None = None) -> bool:
        """
        Wait until every call that has ended is in the database.

        Without it calls are safe, too: they are in the spool. A framework that
        tells late of ends is heard out first, for some seconds; called within
        a running event loop it cannot be, as `aflush` can.

        Returns:
            False if that took longer than `timeout` seconds.
        """
        if self._background is None or self._is_closed:
            return True
        until = None if timeout is None else monotonic() + timeout
        self.recorder.hear_out(_at_most(LATE_S, timeout))
        return self._background.flush(_left(until))

    async def aflush(self, timeout: float | None = None) -> bool:
        """
        Do as `flush` does without blocking the event loop.

        With `durability="power"` all that has ended is on the disk of this
        host when this returns, whatever it returns.
        """
        if self._background is None or self._is_closed:
            return True
        until = None if timeout is None else monotonic() + timeout
        await self.recorder.ahear_out(_at_most(LATE_S, timeout))
        return await self._background.aflush(_left(until))

    def settle(self) -> int:
        """
        Record every call in flight as `incomplete` and return how many.

        For the end of a program, or after calls whose end nobody announces.
        """
        return self.recorder.settle()

    def health(self) -> Health:
        """
        Tell how the trail is doing.
        """
        background = self._background
        return Health(
            open_calls=self.recorder.open_calls,
            waiting_frames=background.waiting_frames if background else 0,
            spool_bytes=background.spool.used_bytes if background else 0,
            spool_limit_bytes=self._settings.limit_bytes,
            problems=self._problems.counts(),
            drops=background.drops() if background else {},
            last_commit_us=background.drain.last_commit_us if background else None,
            last_error=self._problems.last_error,
            foreign_spools=tuple(foreign(self._settings.folder)),
        )

    def close(self, timeout: float | None = CLOSE_TIMEOUT_S) -> bool:
        """
        Settle, store what is left and let go of everything.

        Calls that end afterwards are counted as problems and not recorded.

        Returns:
            False if something could not be stored in time; it stays in the
            spool and is stored by whoever opens the trail next.
        """
        if self._is_closed:
            return True
        _living.discard(self)
        self.recorder.hear_out(_at_most(LATE_S, timeout))
        self.recorder.settle()
        self.recorder.sink = self._refuse
        stored = self._background is None or self._background.close(timeout)
        self._tell()
        self.store.close()
        return stored

    def close_at_exit(self) -> None:
        """
        Close it, but record what the last functions of the program still call.
        """
        self._stored_at_exit = self.close()
        self.recorder.sink = self._first_after_exit

    def store_on_sigterm(self, timeout: float = CLOSE_TIMEOUT_S) -> None:
        """
        Store what has ended when SIGTERM comes, then do what was done without this.

        Python ends at SIGTERM without another word. Calls are safe in the
        spool all the same; this is for a host whose disk ends with it.

        Args:
            timeout: How long that may take, seconds.

        Raises:
            ConfigurationError: This is not the main thread, or the handler
                there is was not installed by Python.
        """
        before_sigterm(lambda: self.flush(timeout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _is_closed(self) -> bool:
        return self not in _living

    def restart_after_fork(self) -> None:
        """
        In a child: leave what is the parent's alone, begin anew at the first call.
        """
        if self._background is not None:
            self._background.spool.abandon()
            self._background = None
        self.store.abandon()
        self._beginning = RLock()
        self._problems.restart_after_fork()
        self.recorder.forget()
        self.recorder.sink = self._first_in_child

    def _declare(self, declaration: Declaration) -> None:
        # Once in a process, since an application may well ask for its experiment at each request.
        if (id := declaration.id) not in self._declared:
            columns = {"kind": DECLARED, "detail": declaration.detail}
            if self.recorder.emit(FrameKind.EVENT, columns, id) is not None:
                self._declared.add(id)

    def _new_background(self, *, adopt_at_once: bool) -> Background:
        before_end_of_child(self.close_at_exit)
        return Background(
            self._settings,
            self.store,
            self._pipeline,
            self._keys,
            self._problems,
            adopt_at_once=adopt_at_once,
            tell=self._each_minute,
        )

    def _first_in_child(self, frame: Frame) -> None:
        with self._beginning:
            if self._background is None:
                made = self._new_background(adopt_at_once=False)
                if self._background is None:
                    self._background = made
                    self.recorder.sink = made.start()
                else:  # the garbage collector has let a call end meanwhile
                    made.spool.release(remove=True)
        self._background.append(frame)

    def _first_after_exit(self, frame: Frame) -> None:
        background = self._new_background(adopt_at_once=False)
        # A database that did not answer must not keep the program from its end.
        self.recorder.sink = (
            background.store_at_once if self._stored_at_exit else background.spool.append
        )
        self.recorder.sink(frame)

    def _each_minute(self) -> None:
        self.recorder.give_up()
        self._tell()

    def _tell(self) -> None:
        """
        Log how the trail is doing, if it has a logger.
        """
        if self._mirror is not None:
            try:
                self._mirror.info(HEALTH_EVENT, **self.health()._asdict())
            except Exception as error:
                self._problems.note("mirror-failed", error)

    def _refuse(self, _: Frame) -> None:
        raise RuntimeError("the trail is closed")


# Strong: a trail lives until it is closed, whoever has forgotten it.
_living: set[Trail] = set()


def open_trail(
    url: str | None = None,
    *,
    capture: CapturePolicy | CaptureMode = "digest",
    tags: Mapping[str, Any] | None = None,
    processors: Iterable[Processor] = (),
    mirror: WrappedLogger | None = None,
    durability: Durability = "process",
    spool_limit_bytes: int | None = None,
    price_file: str | Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Trail:
    """
    Open a trail; documented as `modeltrail.open`.
    """
    policy = policy_from(capture)
    if durability not in get_args(Durability):
        raise ConfigurationError(
            f"unknown durability {durability!r}; choose one of {', '.join(get_args(Durability))}"
        )
    limit_bytes = _limit(spool_limit_bytes, environ)
    keys = load_keys(environ)
    book = prices.read_book(price_file or environ.get("MODELTRAIL_PRICES"))
    prices.load(environ)
    store = Store.open(url or environ.get("MODELTRAIL_URL") or DEFAULT_URL)
    with ExitStack() as on_failure:
        on_failure.callback(store.close)
        check_key(store, keys)
        trail = Trail(
            store,
            keys,
            policy,
            settings=Settings(store.spool_folder(environ), durability, limit_bytes),
            defaults=tags or {},
            processors=processors,
            mirror=mirror,
            book=book,
        )
        on_failure.pop_all()
    return trail


def _at_most(bound: float, given: float | None) -> float:
    return bound if given is None else min(bound, given)


def _left(until: float | None) -> float | None:
    return None if until is None else max(until - monotonic(), 0.0)


def _limit(given: int | None, environ: Mapping[str, str]) -> int:
    text = environ.get("MODELTRAIL_SPOOL_LIMIT") if given is None else str(given)
    try:
        limit = int(text) if text else LIMIT_BYTES
    except ValueError:
        limit = 0
    if limit < LEAST_LIMIT_BYTES:
        raise ConfigurationError(
            f"the limit of the spool is {text!r}; give at least {LEAST_LIMIT_BYTES} bytes "
            "(spool_limit_bytes or MODELTRAIL_SPOOL_LIMIT)"
        )
    return limit


def check_key(store: Store, keys: Keys) -> None:
    """
    Note the key's id in a new trail; refuse any other key from then on.
    """
    created = store.event_detail(CREATED_ID)
    if created is None:
        event = created_event(keys.key_id)
        store.append(Batch(event=[event]))
        created = store.event_detail(CREATED_ID) or event[-1]
    known = msgspec.json.decode(created)["key_id"]
    if known != keys.key_id:
        raise KeyMismatchError(
            f"this trail was made with key {known}, the key at hand is {keys.key_id}; "
            "set MODELTRAIL_KEY or MODELTRAIL_KEY_FILE to the trail's own key"
        )


def _bind(assignment: Assignment) -> None:
    context.bind_assignment(
        experiment=assignment.experiment,
        variant=assignment.variant,
        unit=assignment.unit,
        unit_type=assignment.unit_type,
        phase=assignment.phase,
        propensity_ppm=assignment.propensity_ppm,
    )


def close_all() -> None:
    """
    Close every open trail; runs at exit by itself.
    """
    for trail in list(_living):
        trail.close_at_exit()


def _after_fork_in_child() -> None:
    for trail in list(_living):
        trail.restart_after_fork()


atexit.register(close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
