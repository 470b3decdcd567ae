"""docs/http/<surface>.yaml as their page and their tests see them."""

import pathlib
import re
import textwrap

import yaml

FOLDER = pathlib.Path(__file__).resolve().parent
SOURCE = FOLDER / "scheduler.yaml"
METHODS = ("get", "post", "put", "delete", "patch", "options")
WIDTH = 130

# What every operation can answer, whatever it does: gateway/dispatch.c and gateway/admit.c come before its handler.
COMMON = ("400", "401", "403", "408", "413", "414", "415", "429", "500", "503")
WITHOUT_CREDENTIAL = ("401", "429")  # not of those that ask for none


def source(surface="scheduler"):
    return FOLDER / f"{surface}.yaml"


def load(surface="scheduler"):
    return yaml.load(source(surface).read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def operations(document):
    """(METHOD, path, operation, parameters) of each operation; parameters are resolved, the path's own first."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                parameters = [follow(document, p) for p in item.get("parameters", []) + item[method].get("parameters", [])]
                yield method.upper(), path, item[method], parameters


OWN = ("transcode", "render", "recorder")  # surfaces with a document of their own; the others are in the scheduler's


def table(surface="scheduler"):
    """{(METHOD, path): (words, role)} of the route tables, as docs/http/README.md has them."""
    parts = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", (FOLDER / "README.md").read_text(), re.M | re.S)
    text = "".join(part for name, part in parts if (name if name in OWN else "scheduler") == surface)
    rows = re.findall(r"^### `([A-Z]+) (\S+)`\n\n(.*?)\nRole: (.*?)\.$", text, re.M | re.S)
    return {(method, path): (" ".join(words.split()), role) for method, path, words, role in rows}


def follow(document, node):
    """What a $ref names, with what stands beside it."""
    while isinstance(node, dict) and "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        target = document
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = dict(target, **beside)
    return node


def merged(parts):
    """One schema that says what all of them say: what allOf is used for here."""
    whole = {}
    for part in parts:
        for key, value in part.items():
            if key == "properties":
                whole.setdefault("properties", {}).update(value)
            elif key == "required":
                whole["required"] = whole.get("required", []) + value
            else:
                whole[key] = value
    return whole


def resolved(document, schema, closed=False):
    """The schema without $ref and allOf. closed: objects whose members are named have no others."""
    schema = follow(document, schema)
    if "allOf" in schema:
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        schema = merged([resolved(document, part) for part in schema["allOf"]] + [rest])
    whole = dict(schema)
    if "properties" in schema:
        whole["properties"] = {name: resolved(document, one, closed) for name, one in schema["properties"].items()}
        if closed:
            whole.setdefault("additionalProperties", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            whole[key] = resolved(document, schema[key], closed)
    if "anyOf" in schema:
        whole["anyOf"] = [resolved(document, one, closed) for one in schema["anyOf"]]
    return whole


# ---- bringing it after the route tables ----


def folded(words):
    lines = textwrap.wrap(words, WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return "      description: >-\n" + "".join(f"        {line}\n" for line in lines)


def synced(text, rows):
    """The YAML with the words and roles of the tables; what else it holds stays as it is, byte for byte."""
    out, path, method, skipping = [], None, None, False
    for line in text.splitlines(keepends=True):
        if skipping and (line.startswith("        ") or not line.strip()):
            continue
        skipping = False
        if match := re.match(r"^  (/\S*):$", line.rstrip("\n")):
            path, method = match.group(1), None
        elif match := re.match(r"^    (\w+):$", line.rstrip("\n")):
            method = match.group(1).upper()
        words, role = rows.get((method, path), (None, None))
        if words and line.startswith("      x-role:"):
            line = f"      x-role: {role}\n"
        elif words and line.startswith("      description:"):
            line, skipping = folded(words), True
        out.append(line)
    return "".join(out)


def skeleton(method, path, words, role):
    """What is to be filled in for a route that the document lacks."""
    answers = [f"        '{status}': {{$ref: '#/components/responses/{name}'}}\n" for status, name in (
        ("400", "BadRequest"), ("401", "Unauthenticated"), ("403", "Forbidden"), ("404", "NotFound"), ("408", "TooSlow"),
        ("409", "Conflict"), ("413", "TooLarge"), ("414", "AddressTooLong"), ("415", "MediaType"), ("422", "Invalid"),
        ("429", "TooMany"), ("500", "Internal"), ("503", "Unavailable"))]
    return (f"  {path}:\n    {method.lower()}:\n      operationId:\n      tags: []\n      summary:\n      x-role: {role}\n"
            f"{folded(words)}      responses:\n        '200':\n          description:\n          headers: "
            "{X-Request-Id: {$ref: '#/components/headers/RequestId'}}\n          content:\n            application/json:\n"
            "              schema:\n                allOf:\n                  - {$ref: '#/components/schemas/Success'}\n"
            "                  - properties: {data: {$ref: '#/components/schemas/…'}}\n" + "".join(answers))
