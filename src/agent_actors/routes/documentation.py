"""`/docs` and `/redoc`: Swagger UI and ReDoc, with files that come with the service.

FastAPI's own pages load scripts, styles, fonts and icons from other hosts, so that they stay empty
without the internet, and need a policy that lets those hosts run code.
"""

from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from agent_actors.errors import NotFound

router = APIRouter(include_in_schema=False)

_PACKAGE = "fastapi-standalone-docs"
"""Only its files are used: its code changes functions of FastAPI for the whole process."""
_FOLDERS = {
    "favicon.png": "fastapi",
    "logo-mini.svg": "redoc",
    "redoc.standalone.js": "redoc",
    "swagger-ui-bundle.js": "swagger",
    "swagger-ui.css": "swagger",
}
"""The files of the package that are served, and their folders."""
_OWN = {
    "redoc.css": "body { margin: 0 }\n",
    # What FastAPI writes into its page. A script of its own needs no 'unsafe-inline'.
    "swagger-start.js": """\
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  domNode: place,
  url: place.dataset.url,
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  validatorUrl: null,
});
""",
}
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
"""As constants, since another program may change what `mimetypes` says of `.js` on Windows."""
_CACHED = {"Cache-Control": "max-age=3600"}

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>agent-actors - {title}</title>
<link rel="icon" type="image/png" href="{root}/docs/favicon.png">
<link rel="stylesheet" href="{root}/docs/{style}">
</head>
<body>
{element}
{scripts}
</body>
</html>
"""


@router.get("/docs")
async def swagger(request: Request) -> Response:
    """Swagger UI: the routes, and a form to call each."""
    root = _root(request)
    place = f'<div id="swagger-ui" data-url="{root}/openapi.json"></div>'
    scripts = ("swagger-ui-bundle.js", "swagger-start.js")
    return _page(root, "Swagger UI", "swagger-ui.css", place, *scripts)


@router.get("/redoc")
async def redoc(request: Request) -> Response:
    """ReDoc: the routes, to read."""
    root = _root(request)
    place = f'<redoc spec-url="{root}/openapi.json"></redoc>'
    return _page(root, "ReDoc", "redoc.css", place, "redoc.standalone.js")


@router.get("/docs/{asset}")
@router.get("/redoc/{asset}")  # ReDoc looks for its logo below the page.
async def asset_of_a_page(asset: str) -> Response:
    """A script, a style or an image of the pages."""
    media_type = _TYPES.get(Path(asset).suffix)
    if asset in _OWN:
        return Response(_OWN[asset], media_type=media_type, headers=_CACHED)
    if asset not in _FOLDERS:
        raise NotFound("There is no such file of /docs or /redoc.")
    path = _files() / _FOLDERS[asset] / asset
    return FileResponse(path, media_type=media_type, headers=_CACHED)


def _root(request: Request) -> str:
    # Quoted, it also has no character that HTML would read.
    return quote(request.scope.get("root_path", "").rstrip("/"))


def _page(root: str, title: str, style: str, element: str, *scripts: str) -> Response:
    loaded = "\n".join(f'<script src="{root}/docs/{each}"></script>' for each in scripts)
    return HTMLResponse(
        _PAGE.format(root=root, title=title, style=style, element=element, scripts=loaded)
    )


@cache
def _files() -> Path:
    return Path(str(distribution(_PACKAGE).locate_file("fastapi_standalone_docs/static")))
