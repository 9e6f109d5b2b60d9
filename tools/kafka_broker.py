"""Says where the Kafka broker of the tests is; fetches it with Maven where it is not."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

POM = Path(__file__).parent / "kafka" / "pom.xml"


class NotThere(Exception):
    """The broker cannot be used; the text says what to do."""


def main() -> None:
    """Fetches what is missing."""
    folder = destination()
    if not folder.is_dir():
        fetch(folder)
    java, jars = find()
    print(f"Kafka: {jars}, run by {java}")


def find() -> tuple[Path, Path]:
    """Java, and the folder of the broker's jars.

    Raises:
        NotThere: One is missing.
    """
    java = shutil.which("java")
    if java is None:
        raise NotThere("there is no java; install Java 17 or newer")
    if not destination().is_dir():
        raise NotThere("the broker's jars are not here; run `make kafka`")
    return Path(java), destination()


def destination() -> Path:
    """Where the jars are kept; another pom.xml has another folder."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    return Path(caches) / "agent-actors" / f"kafka-{digest}"


def fetch(folder: Path) -> None:
    """Copies the jars; they come to the folder when all of them are there.

    Raises:
        NotThere: There is no Maven, or it failed.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise NotThere("Maven is needed to fetch the broker; install it (and Java 17 or newer)")
    print("Fetching a Kafka broker with Maven: 56 MB the first time", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as fetching:
        jars = Path(fetching, "jars")
        options = ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", *options]
        if subprocess.run(command).returncode:
            raise NotThere("Maven could not fetch the broker; its messages are above")
        jars.rename(folder)


if __name__ == "__main__":
    try:
        main()
    except NotThere as error:
        sys.exit(f"Error: {error}.")
