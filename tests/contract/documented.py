"""Holds every answer against its surface's document, docs/http/scheduler.yaml or another: its status, its content type, and each member of its body.

The contract tests set this on tests/farm.py; validators are compiled once a process, and only those that are needed.
"""

import re

import fastjsonschema

from docs.http import document as spec

PREFIXES = (("/api/v1/", "transcode"), ("/render/", "render"), ("/recorder/", "recorder"))

# Below HTTP libmicrohttpd answers by itself, in HTML.
BROKEN = (400, 413, 414, 431, 501, 505)


class Documented:
    """The documents of all surfaces."""

    def __init__(self):
        self.surfaces = {surface: Surface(surface) for surface in ("scheduler",) + spec.OWN}

    def check(self, method, target, answer):
        surface = next((one for prefix, one in PREFIXES if target.startswith(prefix)), "scheduler")
        self.surfaces[surface].check(method, target, answer)


class Surface:
    def __init__(self, surface):
        self.file = f"docs/http/{surface}.yaml"
        self.document = spec.load(surface)
        self.validators = {}
        self.error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        self.slash = "/?" if surface == "render" else ""  # that may stand at the end of a path
        paths = sorted(self.document["paths"], key=lambda path: path.count("{"))
        self.patterns = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + self.slash + "$"), path) for path in paths]

    def operation(self, method, target):
        """(name, operation or None): what answers there."""
        path = target.partition("?")[0]
        for pattern, name in self.patterns:
            if pattern.match(path):
                return f"{method} {name}", self.document["paths"][name].get(method.lower())
        return f"{method} {path}", None

    def contents(self, name, operation, answer):
        """The media types that may come with this status; what is not here is refused in the words of every operation."""
        if operation is None:
            assert answer.status >= 400, f"{name} is not in {self.file} and answered {answer.status}"
            return self.error
        response = operation["responses"].get(str(answer.status))
        assert response is not None, f"{self.file} does not say that {name} answers {answer.status}: {answer.body}"
        return spec.follow(self.document, response).get("content", {})

    def validator(self, key, schema):
        if key not in self.validators:
            whole = dict(spec.resolved(self.document, schema, closed=True), **{"$schema": "http://json-schema.org/draft-07/schema#"})
            self.validators[key] = fastjsonschema.compile(whole, use_default=False)
        return self.validators[key]

    def check(self, method, target, answer):
        if method == "OPTIONS" and answer.status == 204:
            return
        name, operation = self.operation("GET" if method == "HEAD" else method, target)
        media = answer.headers.get("content-type", "").partition(";")[0]
        if media == "text/html" and answer.status in BROKEN:
            return
        contents = self.contents(name, operation, answer)
        assert media in contents, f"{self.file} does not say that {name} answers {answer.status} with {media!r}"
        assert "x-request-id" in answer.headers or "metadata" not in answer.body, f"{name}: no X-Request-Id"
        if method == "HEAD" or media == "text/event-stream":
            return
        key = (name if operation else "", answer.status, media)
        try:
            self.validator(key, contents[media]["schema"])(answer.body)
        except fastjsonschema.JsonSchemaException as error:
            raise AssertionError(f"{name} answered {answer.status} with what {self.file} does not say: {error.message}\n"
                                 f"{answer.body}") from None
