"""
The program as a whole: help, exit codes, and what it does not load.
"""

import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recording import make_call

import modeltrail
from modeltrail import errors
from modeltrail.cli import exits
from modeltrail.cli.app import app, run

COMMANDS = ("calls", "cost", "top", "spikes", "regressions", "compare", "doctor", "migrate")
HEAVY = ("sqlalchemy", "sqlmodel", "alembic", "genai_prices", "psycopg")


def python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environ},
    )


def test_help_lists_the_commands(program: Any) -> None:
    """`--help` names every command and ends with 0."""
    ran = program("--help")
    assert ran.returncode == 0
    assert all(re.search(rf"\b{name}\b", ran.stdout) for name in COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "calls list", "calls show", "calls tail"])
def test_every_command_has_help(typed: Any, command: str) -> None:
    """Each command explains itself."""
    ran = typed(*command.split(), "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"Usage: modeltrail {command}" in ran.stdout


def test_version(typed: Any) -> None:
    """`--version` tells the version, whatever the trail."""
    ran = typed("--version", db="sqlite:////nowhere/x.db")
    assert (ran.returncode, ran.stdout) == (0, f"modeltrail {modeltrail.__version__}\n")


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["--help"], {}),
        (["calls", "list", "--help"], {}),
        (["--version"], {}),
        (
            [],
            {
                "_MODELTRAIL_COMPLETE": "complete_bash",
                "COMP_WORDS": "modeltrail co",
                "COMP_CWORD": "1",
            },
        ),
    ],
)
def test_help_and_completion_load_no_engine(words: list[str], environ: dict[str, str]) -> None:
    """What must answer at once does not load the SQL engine."""
    code = (
        "import sys\n"
        f"sys.argv = ['modeltrail', *{words!r}]\n"
        "from modeltrail.__main__ import main\n"
        "try:\n    main()\nfinally:\n"
        f"    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ran = python(code, **environ)
    assert (ran.returncode, ran.stderr) == (0, "[]\n")
    assert ran.stdout


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_missing_extra_is_one_line(missing: str) -> None:
    """Without the extra the program says how to get it."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None\nfrom modeltrail.__main__ import main\nmain()"
    )
    ran = python(code)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "the command line needs an extra: pip install 'modeltrail[cli]'\n"


def test_console_script_is_the_same_program() -> None:
    """`modeltrail` is installed beside the interpreter."""
    script = Path(sys.executable).with_name("modeltrail")
    ran = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("modeltrail ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["calls", "lst"], "Did you mean 'list'"),
        (["calls", "list", "-n", "x"], "-n"),
        (["calls", "list", "-n", "-1"], "-n"),
        (["calls", "list", "--status", "bad"], "--status"),
        (["calls", "list", "--since", "soon"], "'soon' is no time"),
        (["calls", "show"], "Missing argument"),
        (["cost", "--by", "nonsense"], "choose from feature"),
        (["cost", "--format", "xml"], "xml"),
        (["compare", "exp", "--format", "csv"], "csv"),
        (["--nonsense"], "--nonsense"),
        ([], "Missing command"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    typed: Any, filled: str, words: list[str], message: str
) -> None:
    """What was typed wrong is told in one line on stderr."""
    ran = typed(*words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1


READS = [["calls", "list"], ["calls", "show", "0"], ["calls", "tail"], ["cost"], ["compare", "e"]]


@pytest.mark.parametrize("words", READS)
def test_missing_database_is_4_and_is_not_made(
    typed: Any, folder: Callable[[], set[str]], words: list[str]
) -> None:
    """Reading makes no database."""
    ran = typed(*words)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert re.fullmatch(r"error: there is no trail at .*; name another with --db .*\n", ran.stderr)
    assert folder() == set()


@pytest.mark.parametrize("words", READS)
def test_newer_schema_is_4(cli: Any, filled: str, tmp_path: Path, words: list[str]) -> None:
    """A trail of a later version is not read."""
    set_revision(tmp_path, "9999")
    result = cli(*words)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "upgrade modeltrail" in result.stderr


def test_foreign_database_gets_no_tables(cli: Any, tmp_path: Path) -> None:
    """Reading an SQLite file of something else makes no trail of it."""
    other_database(tmp_path)
    result = cli("calls", "list")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "has no trail yet" in result.stderr
    with sqlite3.connect(tmp_path / "calls.db") as connection:
        found = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert found == [("other",)]


def test_foreign_database_is_left_as_it_was(cli: Any, tmp_path: Path) -> None:
    """Reading changes no byte of it."""
    other_database(tmp_path)
    before = (tmp_path / "calls.db").read_bytes()
    cli("calls", "list")
    assert (tmp_path / "calls.db").read_bytes() == before


def test_locked_database_can_be_read(cli: Any, filled: str, tmp_path: Path) -> None:
    """Reading does not wait for a writer."""
    locker = sqlite3.connect(tmp_path / "calls.db", isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    locker.execute("DELETE FROM call")
    result = cli("calls", "list")
    locker.execute("ROLLBACK")
    locker.close()
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 4


def test_reading_leaves_the_folder_as_it_was(
    cli: Any, filled: str, folder: Callable[[], set[str]], tmp_path: Path
) -> None:
    """No command but `migrate` changes a file."""
    before, content = folder(), (tmp_path / "calls.db").read_bytes()
    for words in [*READS[:2], *READS[3:], ["doctor"]]:
        cli(*words)
    assert folder() == before
    assert (tmp_path / "calls.db").read_bytes() == content


def test_path_of_a_file_is_accepted(cli: Any, filled: str, tmp_path: Path) -> None:
    """`--db` takes a plain path to a file that exists."""
    assert cli("calls", "list", db=str(tmp_path / "calls.db")).exit_code == 0
    result = cli("calls", "list", db=str(tmp_path / "other.db"))
    assert result.exit_code == 2
    assert "is no database URL" in result.stderr


def test_trail_comes_from_the_environment(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `--db` it is MODELTRAIL_URL, else modeltrail.db in the current folder."""
    ran = python(
        "import sys; sys.argv = ['modeltrail', 'calls', 'list']\n"
        "from modeltrail.__main__ import main; main()",
        MODELTRAIL_URL=filled,
    )
    assert ran.stdout.count("\n") == 4
    (tmp_path / "calls.db").rename(tmp_path / "modeltrail.db")
    monkeypatch.chdir(tmp_path)
    ran = python(
        "import sys; sys.argv = ['modeltrail', 'calls', 'list']\n"
        "from modeltrail.__main__ import main; main()"
    )
    assert ran.stdout.count("\n") == 4


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RecordNotFoundError("x"), 1),
        (errors.ConfigurationError("x"), 2),
        (errors.KeyMismatchError("x"), 2),
        (errors.MissingExtraError("postgres", "x"), 2),
        (errors.StoreUnavailableError("x"), 4),
        (errors.CorruptStoreError("x"), 4),
        (errors.SchemaError("x", found=None, known="1"), 4),
        (KeyboardInterrupt(), 130),
        (RuntimeError("two\nlines \x1b[31m"), 3),
    ],
)
def test_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of error has its code; none leaves a traceback or a control character."""

    def fail() -> None:
        raise error

    assert exits._code_of(fail) == code
    told = capsys.readouterr().err
    assert told.count("\n") == (0 if code == 130 else 1)
    assert "\x1b" not in told


def test_every_error_has_an_exit_code() -> None:
    """The table names each error that modeltrail raises."""
    raised = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ModeltrailError)
    }
    assert raised - {errors.ModeltrailError} == set(exits.EXIT_CODES)


def test_closed_pipe_is_no_traceback(filled: str) -> None:
    """A reader that has seen enough ends the program quietly."""
    command = f"{sys.executable} -m modeltrail --db {filled} calls list --format json | true"
    ran = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode in {0, exits.PIPE_CLOSED}
    assert ran.stderr == ""


def test_output_is_utf8_in_any_locale(program: Any, url: str, monkeypatch: Any) -> None:
    """A locale without the characters breaks nothing."""
    with modeltrail.open(url) as trail:
        make_call(trail.recorder, tags={"feature": "größe"})
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    ran = subprocess.run(
        [sys.executable, "-m", "modeltrail", "--db", url, "calls", "list"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert "größe" in ran.stdout.decode()


def test_ctrl_c_ends_with_130(filled: str) -> None:
    """Ctrl-C while following says what was seen and ends with 130."""
    command = [sys.executable, "-m", "modeltrail", "--db", filled, "calls", "tail"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline() == "following; Ctrl-C ends\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == ("calls 0, errors 0, known cost $0.00, without one 0\n")


def test_run_reconfigures_real_streams_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Streams that somebody put in place of stdout are left alone."""
    monkeypatch.setattr(sys, "argv", ["modeltrail", "--version"])
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    assert app.info.name == "modeltrail"


def set_revision(folder: Path, revision: str) -> None:
    """Pretend that another version has migrated the trail."""
    with sqlite3.connect(folder / "calls.db") as connection:
        connection.execute("UPDATE modeltrail_version SET version_num = ?", (revision,))
    connection.close()


def other_database(folder: Path) -> None:
    """Make an SQLite file that is no trail."""
    with sqlite3.connect(folder / "calls.db") as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
