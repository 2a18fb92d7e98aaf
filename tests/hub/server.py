"""A small Hub server over a folder tree, faults included; see ``running.py`` for what it can do.

``python -m tests.hub.server --root DIR [--page N] [--prefix /PATH]`` prints its port and that of its second host on one
line, and serves on loopback until its standard input closes. ``HUB_TOKEN`` is the token that it accepts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from yarl import URL

from tests.hub.faults import Fault, Faults
from tests.hub.repositories import ALWAYS, LISTED, Repositories
from tests.hub.sending import Refused, refuse, send_file

SORTS = {"createdAt", "lastModified", "downloads", "likes", "trendingScore"}


class HubServer:
    """The routes, over one tree; every request is logged."""

    def __init__(self, root: Path, *, page: int, token: str | None, prefix: str) -> None:
        self.tree = Repositories(root)
        self.faults = Faults()
        self.page = page
        self.token = token
        self.prefix = prefix
        self.log: list[dict[str, Any]] = []
        self.cdn = ""

    def application(self, host: str) -> web.Application:
        app = web.Application(middlewares=[self._logged(host)])
        if host == "cdn":
            app.router.add_route("*", "/{owner}/{name}/{path:.+}", self._from_cdn)
            return app
        repo = self.prefix + "/api/models/{owner}/{name}"
        app.router.add_get(self.prefix + "/api/models", self._models)
        app.router.add_get(repo, self._model)
        app.router.add_get(repo + "/revision/{revision}", self._model)
        app.router.add_get(repo + "/tree/{revision}", self._files)
        app.router.add_get(repo + "/tree/{revision}/{path:.+}", self._files)
        app.router.add_route("*", self.prefix + "/{owner}/{name}/resolve/{revision}/{path:.+}", self._resolve)
        app.router.add_post("/-/faults", self._set_fault)
        app.router.add_delete("/-/faults", self._clear)
        app.router.add_get("/-/log", self._tell_log)
        return app

    def _logged(self, host: str) -> Any:
        @web.middleware
        async def middleware(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            if request.path.startswith("/-/"):
                return await handler(request)
            entry = {
                "method": request.method,
                "path": request.path,
                "host": host,
                "range": request.headers.get("Range"),
                "status": None,
                "bytes": 0,
                "authorization": "Authorization" in request.headers,
                "fault": None,
                "agent": request.headers.get("User-Agent"),
            }
            self.log.append(entry)
            request["log"] = entry
            try:
                path = request.path.removeprefix(self.prefix)
                if path.startswith("/api/"):
                    refuse(request, self.faults, path)
                answer = await handler(request)
            except Refused as refused:
                answer = _answer(refused)
            except web.HTTPException as refused:
                answer = web.json_response({"error": refused.reason}, status=refused.status)
            entry["status"] = answer.status
            return answer

        return middleware

    async def _models(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        found = await asyncio.to_thread(lambda: [self.tree.describe(repo) for repo in self.tree.ids()])
        found = [one for one in found if _matches(one, query) and not self._hidden(request, one)]
        sort = query.get("sort", "trendingScore")
        if sort not in SORTS:
            raise Refused(400, f"no sort {sort}")
        found.sort(key=lambda one: (one[sort], one["id"]), reverse=True)
        expand = query.getall("expand", []) + query.getall("expand[]", [])
        names = (*ALWAYS, *expand) if expand else LISTED
        rows = found if "full" in query else [{key: one[key] for key in names if key in one} for one in found]
        return self._paged(request, rows, min(int(query.get("limit", self.page)), self.page))

    async def _model(self, request: web.Request) -> web.StreamResponse:
        repo = await self._repo(request)
        commit = await self._commit(request, repo)
        told = await asyncio.to_thread(self.tree.describe, repo, commit, blobs="blobs" in request.query)
        expand = request.query.getall("expand", []) + request.query.getall("expand[]", [])
        return web.json_response({key: told[key] for key in (*ALWAYS, *expand) if key in told} if expand else told)

    async def _files(self, request: web.Request) -> web.StreamResponse:
        repo = await self._repo(request)
        await self._commit(request, repo)
        blobs = await asyncio.to_thread(self.tree.blobs, repo)
        folder = request.match_info.get("path", "").strip("/")
        inside = [blob for blob in blobs if not folder or blob.path.startswith(folder + "/")]
        if folder and not inside:
            raise Refused(404, f"{folder} does not exist", "EntryNotFound")
        deep = request.query.get("recursive", "false").lower() == "true"
        start = len(folder) + 1 if folder else 0
        files = [blob.entry() for blob in inside if deep or "/" not in blob.path[start:]]
        parents = {blob.path[: i + start] for blob in inside for i, c in enumerate(blob.path[start:]) if c == "/"}
        folders = [
            {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}
            for path in sorted(parents)
            if deep or "/" not in path[start:]
        ]
        return self._paged(request, [*folders, *files], self.page)

    def _paged(self, request: web.Request, rows: Sequence[Any], size: int) -> web.Response:
        start = int(request.query.get("cursor", 0))
        headers = {}
        if start + size < len(rows):
            away = self.faults.hit(request["log"], request.path.removeprefix(self.prefix), "away")
            host = self.cdn if away else f"http://{request.host}"
            url = URL(f"{host}{request.path_qs}").update_query(cursor=str(start + size))
            headers["Link"] = f'<{url}>; rel="next"'
        return web.json_response(rows[start : start + size], headers=headers)

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        repo = await self._repo(request)
        path = request.match_info["path"]
        target = f"{repo}/{path}"
        refuse(request, self.faults, target)
        if self.tree.card(repo).get("gated") and not self._allowed(request):
            status = 403 if "Authorization" in request.headers else 401
            raise Refused(status, f"Access to model {repo} is restricted", "GatedRepo")
        changed = self.faults.hit(request["log"], target, "change")
        if changed is not None:
            self.tree.change(repo, path, changed.grow)
        revision = request.match_info["revision"]
        commit = revision if revision in self.tree.commits.get(repo, ()) else await self._commit(request, repo)
        blob = await asyncio.to_thread(self.tree.blob, repo, path)
        if blob is None:
            raise Refused(404, f"{path} does not exist on {revision}", "EntryNotFound")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes"}
        if blob.lfs:
            headers |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(blob.size)}
        if self.faults.hit(request["log"], target, "redirect") is not None:
            headers["Location"] = f"{self.cdn}/{target}?Signature=signed"
            return web.Response(status=302, headers=headers)
        return await send_file(request, blob, headers, self.faults, target)

    async def _from_cdn(self, request: web.Request) -> web.StreamResponse:
        repo, path = f"{request.match_info['owner']}/{request.match_info['name']}", request.match_info["path"]
        refuse(request, self.faults, f"{repo}/{path}")
        blob = await asyncio.to_thread(self.tree.blob, repo, path)
        if blob is None or "Signature" not in request.query:
            raise Refused(403, "not signed")
        headers = {"ETag": f'"cdn-{blob.etag[:16]}"', "Accept-Ranges": "bytes"}
        return await send_file(request, blob, headers, self.faults, f"{repo}/{path}")

    async def _repo(self, request: web.Request) -> str:
        """The repository that is asked for; a missing or private one is told of as the Hub does."""
        repo = f"{request.match_info['owner']}/{request.match_info['name']}"
        if not self.tree.has(repo) or self._hidden(request, self.tree.card(repo)):
            if "Authorization" in request.headers:
                raise Refused(404, "Repository not found", "RepoNotFound")
            raise Refused(401, "Invalid username or password.", "RepoNotFound")
        return repo

    async def _commit(self, request: web.Request, repo: str) -> str:
        name = request.match_info.get("revision", "main")
        commit = await asyncio.to_thread(self.tree.revision, repo, name)
        if commit is None:
            raise Refused(404, f"Invalid rev id: {name}", "RevisionNotFound")
        return commit

    def _allowed(self, request: web.Request) -> bool:
        return self.token is not None and request.headers.get("Authorization") == f"Bearer {self.token}"

    def _hidden(self, request: web.Request, card: Mapping[str, Any]) -> bool:
        return bool(card.get("private")) and not self._allowed(request)

    async def _set_fault(self, request: web.Request) -> web.Response:
        self.faults.all.append(msgspec.json.decode(await request.read(), type=Fault))
        return web.json_response(None)

    async def _clear(self, request: web.Request) -> web.Response:
        self.faults.all.clear()
        self.log.clear()
        return web.json_response(None)

    async def _tell_log(self, request: web.Request) -> web.Response:
        return web.json_response(self.log)


def _answer(refused: Refused) -> web.Response:
    if refused.body is not None:
        return web.Response(text=refused.body, status=refused.status, content_type="text/html", headers=refused.headers)
    return web.json_response({"error": refused.why}, status=refused.status, headers=refused.headers)


def _matches(one: Mapping[str, Any], query: Any) -> bool:
    marks = {*one["tags"], one.get("pipeline_tag"), one.get("library_name")}
    return (
        query.get("search", "").lower() in one["id"].lower()
        and query.get("author", one["author"]) == one["author"]
        and query.get("pipeline_tag", one.get("pipeline_tag")) == one.get("pipeline_tag")
        and all(wanted in marks for group in query.getall("filter", []) for wanted in group.split(","))
    )


async def serve(root: Path, page: int, prefix: str) -> None:
    """Serve until the process is ended."""
    server = HubServer(root, page=page, token=os.environ.get("HUB_TOKEN") or None, prefix=prefix.rstrip("/"))
    ports = []
    for host in ("hub", "cdn"):
        runner = web.AppRunner(server.application(host), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
    server.cdn = f"http://127.0.0.1:{ports[1]}"
    print(*ports, flush=True)  # noqa: T201 - how it tells its ports
    await asyncio.Event().wait()


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--page", type=int, default=1000)
    parser.add_argument("--prefix", default="")
    args = parser.parse_args()
    threading.Thread(target=_end_with_input, daemon=True).start()
    asyncio.run(serve(args.root, args.page, args.prefix))


if __name__ == "__main__":
    main()
