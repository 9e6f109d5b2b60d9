"""Says where promtool and the collector are that tests ask; builds them with Go where not.

They judge the files of `k8s/components/observability` as the programs in its images would.
"""

import sys
from pathlib import Path

from tools import go_programs
from tools.go_programs import NotThere, run

__all__ = ["NotThere"]

OBSERVABILITY = Path(__file__).parent / "observability"
PROMETHEUS = OBSERVABILITY / "prometheus"
COLLECTOR = OBSERVABILITY / "collector"
"""Of its own module, for both would not take the same versions of what they share."""
PROMTOOL = "promtool"
OTELCOL = "otelcol"


def main() -> None:
    """Builds what is missing."""
    folder = destination()
    if not folder.is_dir():
        print("Building promtool and a collector with Go: about 3 minutes on two cores", flush=True)
        go_programs.build(folder, _fill)
    print(f"Prometheus {prometheus_version()}, collector {collector_version()}: {find()}")


def find() -> Path:
    """The folder of both.

    Raises:
        NotThere: There is none.
    """
    folder = destination()
    if not folder.is_dir():
        raise NotThere("promtool and the collector are not here; run `make observability`")
    return folder


def destination() -> Path:
    """Where they are built to; what they are built from names the folder."""
    pinned = [*go_programs.pins(PROMETHEUS), *go_programs.pins(COLLECTOR), COLLECTOR / "main.go"]
    return go_programs.destination("observability", pinned)


def prometheus_version() -> str:
    """As its image has it: 3.13.3 is v0.313.3 among Go's modules."""
    _, release, patch = go_programs.version(PROMETHEUS, "github.com/prometheus/prometheus").split(
        "."
    )
    return f"{release[0]}.{int(release[1:])}.{patch}"


def collector_version() -> str:
    """As its image has it."""
    return go_programs.version(COLLECTOR, "go.opentelemetry.io/collector/otelcol")


def _fill(go: str, folder: Path) -> None:
    options = ["-trimpath", "-ldflags", "-s -w", "-o"]
    # Of its ways to find targets only those of our configuration: all of them take twice the time.
    tags = ["-tags", "remove_all_sd,enable_dns_sd"]
    package = "github.com/prometheus/prometheus/cmd/promtool"
    command = [go, "build", *tags, *options, str(folder / PROMTOOL), package]
    run(command, PROMETHEUS, PROMTOOL, CGO_ENABLED="0")
    command = [go, "build", *options, str(folder / OTELCOL), "."]
    run(command, COLLECTOR, OTELCOL, CGO_ENABLED="0")


if __name__ == "__main__":
    try:
        main()
    except NotThere as error:
        sys.exit(f"Error: {error}.")
