"""docs/http/render.yaml: as the route table is, valid, whole, with examples that hold."""

import re
import unittest

from docs.http import document as spec
from tests.tools import test_openapi_transcode as transcode

SURFACE = "render"


class OpenAPI(transcode.OpenAPI):
    """What holds for one surface's document holds for the other's."""

    surface = SURFACE

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.code = "".join(path.read_text() for path in sorted((spec.FOLDER.parents[1] / "gateway" / "surfaces").glob("render*.c")))

    def test_what_is_read_is_said(self):
        """Query parameters and members of bodies, by the names that the code reads; sorts by those it knows."""
        asked = {p["name"] for _, _, _, parameters in self.operations for p in parameters if p["in"] == "query"}
        read = set(re.findall(r'\b(?:api_param_\w+|request_param|uri_param)\(&?request(?:->uri)?, "(\w+)"', self.code))
        self.assertEqual(read, asked)
        bodies = set()
        for _, _, operation, _ in self.operations:
            for content in operation.get("requestBody", {}).get("content", {}).values():
                bodies |= set(spec.resolved(self.document, content["schema"]).get("properties", ()))
        members = set(re.findall(r'\bapi_(?:uint|text|bool)\(request, "(\w+)"', self.code))
        members |= set(re.findall(r'json_object_get\(request->json, "(\w+)"', self.code))
        form = re.search(r"fields\[FIELD_COUNT\] = \{(.*?)\};", self.code, re.S).group(1)
        members |= set(re.findall(r'\{"(\w+)", ', form)) | {"file"}
        self.assertEqual(members, bodies)
        sorts = re.search(r'#define SORTS "([^"]*)"', self.code).group(1).split(", ")
        said = [p["schema"]["enum"] for _, _, _, parameters in self.operations for p in parameters if p["name"] == "sort_by"]
        self.assertEqual(said, [sorts])

    def test_fields_are_those_that_are_shown(self):
        names = "".join(re.findall(r'"([\w,]+)"', re.search(r"render_field_names\[\] =(.*?);", self.code, re.S).group(1))).split(",")
        self.assertEqual(set(names), set(self.document["components"]["schemas"]["Task"]["properties"]))


if __name__ == "__main__":
    unittest.main()
