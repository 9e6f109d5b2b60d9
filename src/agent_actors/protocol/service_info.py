"""What a service says about itself at `/info`, for operators and for `agent-actors doctor`.

It has no secret: whether a token is set, never which, and no URL with a user or a path.
"""

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from agent_actors.settings import Settings

Number = Annotated[int, Field(ge=0, lt=1 << 63)]


class ServiceInfo(BaseModel):
    """What a process of the service runs.

    Every member may be null, and other releases may have other members.
    """

    model_config = ConfigDict(frozen=True)

    version: str | None = Field(None, examples=["0.1.0"])
    process: Number | None = Field(None, examples=[4711])
    runtime: str | None = Field(None, examples=["embedded"])
    model: str | None = Field(
        None, description="Its name; null before it is chosen.", examples=["gpt-5"]
    )
    model_server: str | None = Field(None, examples=["https://api.openai.com"])
    own_model: bool | None = Field(
        None, description="Whether the app's code brings it, whatever the settings are."
    )
    own_tools: Number | None = Field(None, description="Tools that the app's code brings.")
    access: str | None = Field(
        None, description="`token`: callers need one; `none`: they need none; `off`: by a setting."
    )
    sidecar_token: bool | None = Field(None, description="Whether APP_API_TOKEN is set.")
    data: str | None = Field(None, description="Data folder of the embedded runtime.")
    components: str | None = Field(None, description="Component files of the embedded runtime.")
    sidecar_port: Number | None = Field(None, description="The sidecar's HTTP port, on Dapr.")
    secret_store: str | None = None
    orchestration: str | None = Field(None, examples=["turn"])
    open_files: Number | None = Field(None, description="Files that it may open; null: any number.")

    @classmethod
    def of(
        cls, settings: Settings, *, dapr: bool, components: Path | None = None, own_tools: int = 0
    ) -> Self:
        """What a process with these settings runs, but for its model."""
        return cls(
            version=_release(),
            process=os.getpid(),
            runtime="dapr" if dapr else "embedded",
            own_tools=own_tools,
            access=_access(settings),
            sidecar_token=settings.app_api_token is not None,
            data=None if dapr else os.path.abspath(settings.data),
            components=None if dapr or components is None else _absolute(components),
            sidecar_port=settings.dapr_http_port if dapr else None,
            secret_store=settings.secret_store,
            orchestration=settings.orchestration,
            open_files=_open_files(),
        )


def _release() -> str | None:
    try:
        return version("agent-actors")
    except PackageNotFoundError:  # The sources run without an installation.
        return None


def _access(settings: Settings) -> str:
    if settings.access_on:
        return "token"
    return "off" if settings.access == "off" else "none"


def _absolute(listed: Path) -> str:
    """A folder, or a list of folders that is written like PATH."""
    return os.pathsep.join(map(os.path.abspath, str(listed).split(os.pathsep)))


def _open_files() -> int | None:
    try:
        files = open_files()
    except ImportError:
        return None
    return None if files == float("inf") else int(files)


def open_files() -> float:
    """How many files this process may open; raises `ImportError` where there is no such limit."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft
