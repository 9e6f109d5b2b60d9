"""Becomes the process of a container: its files, its user, its command. Started by `kubelet.py`.

It starts as root in its own mounts, and reads from a file which process to become. Instead of an
image it has the system's programs and libraries and what the file names, read-only to other users.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SYSTEM = ("bin", "lib", "lib32", "lib64", "sbin", "usr")
DEVICES = ("dev", "proc", "sys")
CONFIGURATION = ("group", "ld.so.cache", "localtime", "nsswitch.conf", "passwd", "ssl")


def main(file: str) -> None:
    """Becomes the process that the file describes."""
    spec = json.loads(Path(file).read_text(encoding="utf-8"))
    root = Path(spec["root"])
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root)
    _system(root)
    _files(root, spec)
    if spec["read_only"]:
        _mount("-o", "remount,ro,bind", root)
    os.chroot(root)
    os.chdir("/")
    os.setgroups(spec["groups"])
    os.setgid(spec["group"])
    os.setuid(spec["user"])
    os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - It takes our place.


def _system(root: Path) -> None:
    for name in (*SYSTEM, *DEVICES):
        path = Path("/", name)
        if path.is_symlink():
            (root / name).symlink_to(path.readlink())
        elif path.is_dir():
            _bind(path, root / name)


def _files(root: Path, spec: dict[str, list[list[str]]]) -> None:
    for name in ("etc", "run", "tmp", "var"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    for name, target in (("run", "/run"), ("lock", "/run/lock")):
        (root / "var" / name).symlink_to(target)
    for name in CONFIGURATION:
        if Path("/etc", name).exists():
            _bind(Path("/etc", name), root / "etc" / name)
    # Outer mounts first: a volume at /tmp must not hide a checkout below it.
    for source, target in sorted(spec["binds"], key=lambda bind: bind[1].count("/")):
        _bind(Path(source), _below(root, target))


def _below(root: Path, target: str) -> Path:
    """The path in the new root; links are followed within it."""
    inner = target.replace("/var/run/", "/run/").replace("/var/lock", "/run/lock")
    return root / inner.lstrip("/")


def _bind(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    _mount("--rbind", source, target)


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
