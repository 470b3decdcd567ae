"""docs/http/scheduler.yaml: as the route tables are, valid, whole, with examples that hold; and its page is current."""

import re
import unittest

import fastjsonschema
import jsonschema
import yaml

from docs.http import document as spec
from docs.http import page
from tests.tools.openapi_shape import DOCUMENT


def draft(schema):
    return fastjsonschema.compile(dict(schema, **{"$schema": "http://json-schema.org/draft-07/schema#"}), use_default=False)


def number(words):
    """A bound of proto/messages.def; None where it is none."""
    if match := re.fullmatch(r"KIB\((\d+)\)", words):
        return int(match.group(1)) << 10
    if match := re.fullmatch(r"1 << (\d+)", words):
        return 1 << int(match.group(1))
    return None if words == "U64" else int(words)


# Records that bodies are read into: their schema, fields that come from elsewhere, and members that are read by hand.
READ = {
    "rec_task_spec": ("TaskFields", (), ()),
    "rec_trigger": ("TriggerItem", ("delay_ms", "idem"), ("delay_seconds", "idempotency_key")),
    "rec_webhook_spec": ("WebhookFields", (), ()),
    "msg_run_abort": ("Abort", ("idem", "id", "known"), ()),
    "msg_run_report": ("RunReport", ("idem", "run_id", "whose", "known"), ()),
    "rec_published": ("Publish", ("hash", "at"), ("xxh3_128", "worker_id")),
    "msg_worker_register": ("WorkerRegister", ("idem", "whose"), ()),
    "msg_worker_update": ("WorkerUpdate", ("idem", "id", "whose"), ()),
    "msg_worker_beat": ("Heartbeat", ("id", "runs", "attempts", "whose", "idem"), ("current_tasks",)),
    "msg_pool_put": ("PoolFields", ("idem", "name"), ()),
}
BY_HAND = ("priority", "status", "run_at")  # words and times, whose bounds are not those of the record


class OpenAPI(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = spec.load()
        cls.operations = list(spec.operations(cls.document))

    def bodies(self, operation):
        """(where, media type, content, closed) of what is sent and answered."""
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            yield "body", media, content
        for status, response in operation["responses"].items():
            for media, content in spec.follow(self.document, response).get("content", {}).items():
                yield status, media, content

    def schemas(self, node, where=""):
        """(where, schema) of every JSON schema in the document."""
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "schemas" and where == "/components":
                    yield from ((f"{where}/{key}/{name}", schema) for name, schema in value.items())
                elif key == "schema":
                    yield f"{where}/{key}", value
                elif key != "example":
                    yield from self.schemas(value, f"{where}/{key}")
        elif isinstance(node, list):
            for index, item in enumerate(node):
                yield from self.schemas(item, f"{where}/{index}")

    def test_it_is_openapi_3_1(self):
        check = jsonschema.Draft202012Validator(DOCUMENT)
        self.assertEqual([f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in check.iter_errors(self.document)], [])
        found = 0
        for where, schema in self.schemas(self.document):
            found += 1
            with self.subTest(where):
                jsonschema.Draft202012Validator.check_schema(schema)
                words = set(re.findall(r"'(\w+)': ", str(schema)))
                self.assertFalse(words & {"nullable", "discriminator", "xml", "exclusiveMinimum"}, "3.0 had it so")
        self.assertGreater(found, 100)
        for forge in (lambda d: d["paths"]["/docs"]["get"].pop("responses"), lambda d: d["paths"]["/docs"]["get"].update(sumary="x"),
                      lambda d: d["components"]["parameters"]["TaskId"].pop("required"), lambda d: d.update(openapi="3.0.3"),
                      lambda d: d["paths"]["/docs"]["get"]["responses"].update({"2OO": {"description": "x"}}),
                      lambda d: d["components"]["securitySchemes"]["apiKey"].pop("in"), lambda d: d["paths"].update(docs={})):
            forged = spec.load()
            forge(forged)
            self.assertFalse(check.is_valid(forged))

    def test_it_says_what_the_tables_say(self):
        said = {(method, path): (" ".join(operation["description"].split()), operation["x-role"])
                for method, path, operation, _ in self.operations}
        self.assertEqual(said, spec.table(), "docs/http/page.py --sync brings it after the tables")

    def test_syncing_changes_nothing_else(self):
        text = spec.SOURCE.read_text()
        self.assertEqual(spec.synced(text, spec.table()), text)
        forged = {key: ("Other words of it.", "nobody") for key in spec.table()}
        changed = spec.synced(text, forged)
        self.assertEqual(changed.count("x-role: nobody"), len(self.operations))
        self.assertEqual(spec.synced(changed, spec.table()), text)

    def test_what_a_new_route_lacks(self):
        """Filled in where it is empty, the skeleton is a part of the document like any."""
        text = spec.skeleton("POST", "/api/new/{id}", "Does something new: 201.", "user")
        text = text.replace("operationId:\n", "operationId: doNew\n").replace("tags: []", "tags: [tasks]").replace("summary:\n", "summary: New\n")
        text = text.replace("description:\n", "description: It is done.\n").replace("schemas/…", "schemas/Task")
        paths = yaml.safe_load(text)
        self.assertEqual(paths["/api/new/{id}"]["post"]["description"], "Does something new: 201.")
        forged = dict(self.document, paths=dict(self.document["paths"], **paths))
        self.assertEqual(list(jsonschema.Draft202012Validator(DOCUMENT).iter_errors(forged)), [])
        self.assertIn('id="doNew"', page.render(forged))

    def test_every_operation_says_what_every_operation_answers(self):
        for method, path, operation, parameters in self.operations:
            with self.subTest(f"{method} {path}"):
                self.assertIn(operation["tags"][0], [tag["name"] for tag in self.document["tags"]])
                open_to_all = operation["x-role"] == "none needed"
                self.assertEqual(operation.get("security"), [] if open_to_all else None)
                for status in spec.COMMON:
                    if not (open_to_all and status in spec.WITHOUT_CREDENTIAL):
                        self.assertIn(status, operation["responses"])
                self.assertEqual(sorted(operation["responses"]), list(operation["responses"]))
                named = re.findall(r"\{(\w+)\}", path)
                self.assertEqual([p["name"] for p in parameters if p["in"] == "path"], named)
                self.assertEqual("404" in operation["responses"], bool(named))
                if method != "GET":
                    self.assertIn("Idempotency-Key", [p["name"] for p in parameters])
                    self.assertIn("422", operation["responses"])
                for status, response in operation["responses"].items():
                    headers = spec.follow(self.document, response).get("headers", {})
                    self.assertIn("X-Request-Id", headers)
                    self.assertEqual("Retry-After" in headers, status in ("429", "503"), status)
        ids = [operation["operationId"] for _, _, operation, _ in self.operations]
        self.assertEqual(len(set(ids)), len(ids))

    def test_examples_hold(self):
        found = 0
        for method, path, operation, _ in self.operations:
            for where, media, content in self.bodies(operation):
                if "example" in content:
                    found += 1
                    with self.subTest(f"{method} {path} {where}"):
                        draft(spec.resolved(self.document, content["schema"], closed=True))(content["example"])
        self.assertGreater(found, 30)

    def test_what_is_read_is_said(self):
        """Every field that the gateway reads, with its bounds, is in the document; and it says of no others."""
        text = (spec.FOLDER.parents[1] / "proto" / "messages.def").read_text()
        for record, (schema, elsewhere, beside) in READ.items():
            fields = spec.resolved(self.document, self.document["components"]["schemas"][schema])["properties"]
            rows = re.findall(rf"^(?:FIELD|NEST|LIST)\({record}, \d+, \w+, (\w+), (\w+)(?:, ([^,]+), ([^,]+))?, \"", text, re.M)
            read = [row for row in rows if row[1] not in elsewhere]
            self.assertEqual(len(rows) - len(read), len(elsewhere), record)
            self.assertEqual({row[1] for row in read} | set(beside), set(fields), schema)
            for kind, name, low, high in read:
                limits = {"STR": ("minLength", "maxLength"), "STRS": ("minItems", "maxItems"), "log_line": ("minItems", "maxItems"),
                          "UINT": ("minimum", "maximum"), "INT": ("minimum", "maximum")}.get(kind)
                if limits and name not in BY_HAND:
                    with self.subTest(f"{schema} {name}"):
                        self.assertEqual(fields[name].get(limits[0], 0), number(low))
                        self.assertEqual(fields[name].get(limits[1]), number(high))

    def test_what_an_address_may_say_is_said(self):
        """Query parameters, the words they take, and what lists are sorted by."""
        text = "".join(path.read_text() for path in sorted((spec.FOLDER.parents[1] / "gateway" / "surfaces").glob("scheduler*.c")))
        known = {}
        for _, _, _, parameters in self.operations:
            for one in (one for one in parameters if one["in"] == "query"):
                known.setdefault(one["name"], []).append(frozenset(spec.resolved(self.document, one["schema"]).get("enum", [])))
        read = re.findall(r'\b(?:page_(?:number|bool|text|date)|request_param|time_read)\(request, "(\w+)"', text)
        self.assertEqual(set(read) - set(known), set())
        words = re.findall(r'\bpage_word\(request, "(\w+)", \w+,\s*"([a-z|]+)"', text)
        sorts = [("sort", "|".join(re.findall(r'\{"(\w+)", "', list))) for list in re.findall(r"page_sort sorts\[\] = \{(.*?)\{NULL", text, re.S)]
        self.assertGreater(min(len(set(read)), len(words), len(sorts)), 9)
        for name, given in words + sorts:
            with self.subTest(name, words=given):
                self.assertIn(frozenset(given.split("|")), known[name])

    def test_a_line_to_try_has_what_the_address_needs(self):
        operation = self.document["paths"]["/api/schedules/preview"]["get"]
        line = page.curl("GET", "/api/schedules/preview", operation, operation["parameters"], None)
        self.assertIn("/api/schedules/preview?schedule=%40daily", line)

    def test_every_part_is_used(self):
        named = set(re.findall(r"#/components/(\w+)/(\w+)", spec.SOURCE.read_text()))
        there = {(kind, name) for kind, parts in self.document["components"].items() for name in parts}
        self.assertEqual(there - named, {("securitySchemes", name) for name in self.document["components"]["securitySchemes"]})
        self.assertEqual(named - there, set())
        used = {name for one in self.document["security"] for name in one}
        self.assertEqual(used, set(self.document["components"]["securitySchemes"]))

    def test_the_page_is_current(self):
        self.assertEqual(page.PAGE.read_text(), page.render(self.document), "docs/http/page.py writes it anew")

    def test_the_page_speaks_json(self):
        self.assertEqual(re.findall(r"default (?:True|False|None|&#34;)[^<]*", page.PAGE.read_text()), [])

    def test_the_page_needs_nothing_and_escapes_everything(self):
        text = page.PAGE.read_text()
        self.assertNotRegex(text, r"<(script|link|img|iframe|object|embed|form|base)\b")
        self.assertNotRegex(text, r"(src|@import|url\(|style=|\son\w+=)\b")
        self.assertEqual(set(re.findall(r'href="([^"#]+)"', text)), {"/docs/scheduler.yaml"})
        anchors = re.findall(r'id="([^"]+)"', text)
        self.assertEqual(len(set(anchors)), len(anchors))
        self.assertLessEqual(set(re.findall(r'href="#([^"]+)"', text)), set(anchors))
        self.assertLess(len(text), 400_000)
        forged = spec.load()
        forged["paths"]["/api/tasks"]["get"].update(summary="<script>x</script>", description="`<b>` **\"&**")
        page_of_it = page.render(forged)
        self.assertNotIn("<script", page_of_it)
        self.assertIn("&lt;script&gt;x&lt;/script&gt;", page_of_it)
        self.assertIn("<code>&lt;b&gt;</code> <strong>&#34;&amp;</strong>", page_of_it)


if __name__ == "__main__":
    unittest.main()
