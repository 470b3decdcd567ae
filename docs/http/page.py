#!/usr/bin/python3
"""docs/http/scheduler.html, which a gateway shows at /docs, from docs/http/scheduler.yaml and docs/http/page.html.

    docs/http/page.py           write the page anew
    docs/http/page.py --sync    first bring words and roles of the YAML after the route tables (docs/http/README.md), and say which
                                operations it lacks
"""

import json
import pathlib
import re
import shlex
import sys
import urllib.parse

import jinja2
import markupsafe

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from docs.http import document as spec  # noqa: E402

PAGE = spec.FOLDER / "scheduler.html"
WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false", "object": "object", "null": "null",
         "array": "list"}
FORMATS = {"date-time": "time", "date": "date"}


def prose(text):
    """Escaped, with `code` and **bold**; blank lines part paragraphs."""
    def line(words):
        words = str(markupsafe.escape(" ".join(words.split())))
        words = re.sub(r"`([^`]+)`", r"<code>\1</code>", words)
        return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", words)

    return [markupsafe.Markup(line(part)) for part in re.split(r"\n\s*\n", text.strip()) if part]


def bounds(schema):
    """"1..200 bytes", "0..100", "1..1000 items"."""
    for low, high, unit in (("minLength", "maxLength", " bytes"), ("minimum", "maximum", ""), ("minItems", "maxItems", " items")):
        if low in schema and high in schema:
            return f"{schema[low]}..{schema[high]}{unit}"
        if high in schema:
            return f"at most {schema[high]}{unit}"
        if low in schema:
            return f"at least {schema[low]}{unit}"
    return ""


def default(schema):
    """As it stands in a query, or in a body."""
    value = schema.get("default")
    return f"default {value if isinstance(value, str) else json.dumps(value)}" if "default" in schema else ""


def kind(schema):
    """What a value is, in words."""
    if "enum" in schema:
        return " | ".join(json.dumps(word)[1:-1] if isinstance(word, str) else json.dumps(word) for word in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    words = []
    for one in types:
        word = FORMATS.get(schema.get("format"), WORDS[one]) if one == "string" else WORDS[one]
        if one == "array":
            inner = kind(schema.get("items", {}))
            word = f"list of {inner}" if inner else "list"
        elif one == "object" and isinstance(schema.get("additionalProperties"), dict):
            word = f"object of {kind(schema['additionalProperties'])}"
        words.append(word)
    return " or ".join(words) or "anything"


def tree(schema, answered):
    """The members of an object, or of the objects of a list, as rows with rows below them. Of what is sent most may be absent, of what is
    answered little."""
    rows = []
    for name, one in schema.get("properties", {}).items():
        inner = one.get("items", one) if "properties" not in one else one
        more = [bounds(one)] if bounds(one) else []
        more += filter(None, [default(one)])
        required = name in schema.get("required", [])
        mark = ("" if required else "may be absent") if answered else ("required" if required else "")
        rows.append({"name": name, "kind": kind(one), "more": ", ".join(more), "mark": mark, "words": prose(one.get("description", "")),
                     "rows": tree(inner, answered)})
    return rows


def pretty(example):
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=2)


def content(document, holder, answered):
    """What a body can be: media type, tree, example. Of an answer's envelope only `data` is shown."""
    found = []
    for media, one in (holder or {}).get("content", {}).items():
        schema = spec.resolved(document, one.get("schema", {}))
        shown = schema.get("properties", {}).get("data", schema) if "success" in schema.get("properties", {}) else schema
        found.append({"media": media, "rows": tree(shown, answered), "example": pretty(one["example"]) if "example" in one else ""})
    return found


def curl(method, path, operation, parameters, body):
    """A line that can be tried, with what the address needs; no credential where none is asked for."""
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", str(parameter.get("example", 1)))
    needed = [(p["name"], p["example"]) for p in parameters if p["in"] == "query" and p.get("required")]
    path += "?" + urllib.parse.urlencode(needed) if needed else ""
    words = ["curl"] + (["-X", method] if method != "GET" and not (method == "POST" and body) else [])
    words.append(f"http://localhost:8080{path}")
    if operation["x-role"] != "none needed":
        words += ["-H", "Authorization: Bearer $GANTRY_KEY"]
    if body:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body, ensure_ascii=False)]
    return " ".join(f'"{word}"' if "$" in word else shlex.quote(word) for word in words)


def answers(document, operation):
    """Those of its own, and the statuses that are told of once for all."""
    own, shared = [], []
    for status, one in operation["responses"].items():
        name = one["$ref"].rsplit("/", 1)[1] if "$ref" in one else None
        if name and int(status) >= 400:
            shared.append({"status": status, "name": name})
        else:
            answer = spec.follow(document, one)
            own.append({"status": status, "words": prose(answer["description"]), "content": content(document, answer, True)})
    return own, shared


def entry(document, method, path, operation, parameters):
    body = operation.get("requestBody")
    example = next((one.get("example") for one in (body or {}).get("content", {}).values()), None)
    own, shared = answers(document, operation)
    rows = [{"name": p["name"], "where": p["in"], "kind": kind(spec.resolved(document, p["schema"])),
             "more": ", ".join(filter(None, [bounds(p["schema"]), default(p["schema"])])),
             "words": prose(p.get("description", "")), "required": p.get("required", False)} for p in parameters]
    return {"id": operation["operationId"], "tag": operation["tags"][0], "method": method, "path": path, "role": operation["x-role"],
            "summary": operation["summary"], "words": prose(operation["description"]), "parameters": rows,
            "body": content(document, body, False), "body_required": (body or {}).get("required", False), "own": own, "shared": shared,
            "curl": curl(method, path, operation, parameters, example)}


def shared_answers(document):
    found = {}
    for one in (one for _, _, operation, _ in spec.operations(document) for one in operation["responses"].items()):
        if "$ref" in one[1] and int(one[0]) >= 400:
            name = one[1]["$ref"].rsplit("/", 1)[1]
            response = spec.follow(document, one[1])
            found[one[0]] = {"status": one[0], "name": name, "words": prose(response["description"]),
                             "headers": [h for h in response.get("headers", {}) if h != "X-Request-Id"]}
    return [found[status] for status in sorted(found)]


def render(document):
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
                                     keep_trailing_newline=True)
    entries = [entry(document, *one) for one in spec.operations(document)]
    tags = [dict(tag, entries=[one for one in entries if one["tag"] == tag["name"]]) for tag in document["tags"]]
    template = environment.from_string((spec.FOLDER / "page.html").read_text())
    return template.render(info=document["info"], words=prose(document["info"]["description"]), tags=tags, shared=shared_answers(document),
                           error=tree(spec.resolved(document, document["components"]["schemas"]["Error"]), True))


def main(arguments):
    if arguments == ["--sync"]:
        rows = spec.table()
        spec.SOURCE.write_text(spec.synced(spec.SOURCE.read_text(), rows))
        there = {(method, path) for method, path, _, _ in spec.operations(spec.load())}
        for (method, path), (words, role) in rows.items():
            if (method, path) not in there:
                print(spec.skeleton(method, path, words, role))
    elif arguments:
        sys.exit(__doc__)
    PAGE.write_text(render(spec.load()))


if __name__ == "__main__":
    main(sys.argv[1:])
