"""
What is asked of the disk.
"""

from pathlib import Path

import pytest

from modeltrail.storage.spool import disk
from modeltrail.storage.spool.disk import keeps_its_word

LIST = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
30 27 0:27 / /data rw,relatime - ext4 /dev/sda rw
31 27 0:28 / /data/my\040files rw,relatime - btrfs /dev/sdb rw
32 27 0:29 / /shm rw - btrfs /dev/sdc rw
34 27 0:31 / /journal rw,relatime - ext4 /dev/sdd rw,data=journal
35 27 0:32 / /slow rw,relatime - ext4 /dev/sde rw,nodelalloc,discard
33 32 0:30 / /shm rw shared:9 master:2 - tmpfs tmpfs rw
""".lstrip()


@pytest.mark.parametrize(
    ("folder", "keeps"),
    [
        ("/data", True),
        ("/data/spool/deep", True),
        ("/database", False),
        ("/home/spool", False),
        ("/data/my files/spool", False),
        ("/shm/spool", True),
        ("/journal/spool", False),
        ("/slow/spool", False),
    ],
)
def test_file_system_is_that_of_the_nearest_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, keeps: bool
) -> None:
    """The last mount on the nearest place counts; only some file systems keep their word."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(LIST)
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    assert keeps_its_word(Path(folder)) is keeps


def test_unknown_system_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a list of mounts nothing is promised."""
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "none")
    assert keeps_its_word(Path("/")) is False


def test_list_of_this_system_can_be_read() -> None:
    """Whatever is mounted here, it is understood."""
    assert keeps_its_word(Path("/proc")) is False
    assert keeps_its_word(Path("/dev/shm")) is True
