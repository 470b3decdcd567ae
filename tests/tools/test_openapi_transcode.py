"""docs/http/transcode.yaml: as the route table is, valid, whole, with examples that hold."""

import re
import unittest

import jsonschema

from docs.http import document as spec
from tests.tools.openapi_shape import DOCUMENT
from tests.tools.test_openapi import draft

SURFACE = "transcode"


class OpenAPI(unittest.TestCase):
    surface = SURFACE

    @classmethod
    def setUpClass(cls):
        cls.document = spec.load(cls.surface)
        cls.operations = list(spec.operations(cls.document))
        cls.code = "".join(path.read_text() for path in sorted((spec.FOLDER.parents[1] / "gateway" / "surfaces").glob("transcode*.c")))

    def test_it_is_openapi_3_1(self):
        check = jsonschema.Draft202012Validator(DOCUMENT)
        self.assertEqual([f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in check.iter_errors(self.document)], [])

    def test_it_says_what_the_table_says(self):
        said = {(method, path): (" ".join(operation["description"].split()), operation["x-role"])
                for method, path, operation, _ in self.operations}
        self.assertEqual(said, spec.table(self.surface))
        text = spec.source(self.surface).read_text()
        self.assertEqual(spec.synced(text, spec.table(self.surface)), text)

    def test_every_operation_says_what_every_operation_answers(self):
        for method, path, operation, parameters in self.operations:
            with self.subTest(f"{method} {path}"):
                self.assertIn(operation["tags"][0], [tag["name"] for tag in self.document["tags"]])
                self.assertLessEqual(set(spec.COMMON), set(operation["responses"]))
                self.assertEqual(sorted(operation["responses"]), list(operation["responses"]))
                named = re.findall(r"\{(\w+)\}", path)
                self.assertEqual([p["name"] for p in parameters if p["in"] == "path"], named)
                if named:
                    self.assertIn("404", operation["responses"])
                if method not in ("GET", "OPTIONS"):
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
            contents = [content for content in operation.get("requestBody", {}).get("content", {}).values()]
            for response in operation["responses"].values():
                contents += spec.follow(self.document, response).get("content", {}).values()
            for content in contents:
                if "example" in content:
                    found += 1
                    with self.subTest(f"{method} {path}"):
                        draft(spec.resolved(self.document, content["schema"], closed=True))(content["example"])
        self.assertGreater(found, 30)

    def test_what_is_read_is_said(self):
        """Query parameters and members of bodies, by the names that the code reads; sorts by those it knows."""
        asked = {p["name"].removesuffix("[]") for _, _, _, parameters in self.operations for p in parameters if p["in"] == "query"}
        read = set(re.findall(r'\b(?:api_param_\w+|request_param)\(request, "(\w+)"', self.code))
        self.assertEqual(read - asked, set())
        self.assertEqual(asked - read, set())
        bodies = set()
        for _, _, operation, _ in self.operations:
            for content in (one for one in operation.get("requestBody", {}).get("content", {}).values() if "schema" in one):
                bodies |= set(spec.resolved(self.document, content["schema"])["properties"])
        members = set(re.findall(r'\bapi_(?:uint|real|text|bool|task_id)\(request, "(\w+)"', self.code)) | {"action"}
        self.assertEqual(members, bodies)
        sorts = {frozenset(re.findall(r'\{"(\w+)", "', one)) for one in re.findall(r"api_sort sorts\[\] = \{(.*?)\{NULL", self.code, re.S)}
        said = {frozenset(p["schema"]["enum"]) for _, _, _, parameters in self.operations for p in parameters if p["name"] == "sort_by"}
        self.assertEqual(sorts, said)

    def test_every_part_is_used(self):
        named = set(re.findall(r"#/components/(\w+)/(\w+)", spec.source(self.surface).read_text()))
        there = {(kind, name) for kind, parts in self.document["components"].items() for name in parts}
        self.assertEqual(there - named, {("securitySchemes", name) for name in self.document["components"]["securitySchemes"]})
        self.assertEqual(named - there, set())


if __name__ == "__main__":
    unittest.main()
