"""docs/http/recorder.yaml: as the route table is, valid, whole, with examples that hold."""

import re
import unittest

from docs.http import document as spec
from tests.tools import test_openapi_transcode as transcode

SURFACE = "recorder"


class OpenAPI(transcode.OpenAPI):
    """What holds for one surface's document holds for the other's."""

    surface = SURFACE

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = spec.FOLDER.parents[1]
        cls.code = "".join(path.read_text() for path in sorted((cls.root / "gateway" / "surfaces").glob("recorder*.c")))

    def fields(self, record):
        return set(re.findall(rf"^FIELD\({record}, \d+, \w+, \w+, (\w+),", (self.root / "proto" / "messages.def").read_text(), re.M))

    def properties(self, schema):
        return set(spec.resolved(self.document, self.document["components"]["schemas"][schema])["properties"])

    def test_what_is_read_is_said(self):
        """Query parameters and members of bodies, by the names that the code and the records have."""
        asked = {p["name"] for _, _, _, parameters in self.operations for p in parameters if p["in"] == "query"}
        read = set(re.findall(r'\b(?:request_param|uri_param|number)\(&?request(?:->uri)?, "(\w+)"', self.code))
        read |= set(re.findall(r'\{"(\w+)", SET_RECORDER_\w+, &rules->', self.code))
        self.assertEqual(read, asked)
        for schema in ("Global", "GlobalPut"):
            self.assertEqual(self.properties(schema), self.fields("rec_recorder_global"))
        for schema in ("Stream", "StreamPut"):
            self.assertEqual(self.properties(schema), self.fields("rec_recorder_stream") - {"id"})
        self.assertEqual(self.properties("Save"), set(re.findall(r'json_object_get\(request->json, "(\w+)"', self.code)))
        self.assertEqual(self.properties("ConfigPut"), set(re.findall(r'json_object_get\(object, "(\w+)"', self.code)))

    def test_a_gap_has_a_known_cause(self):
        """Words that the scheduler and the recording program give are those of the document."""
        schema = spec.resolved(self.document, self.document["components"]["schemas"]["Gaps"])
        gap = schema["properties"]["recordings"]["items"]["properties"]["gaps"]["items"]["properties"]["cause"]
        code = (self.root / "scheduler" / "farms" / "record" / "missing.c").read_text()
        for word in re.findall(r'return STR_LIT\("(\w+)"\)', code) + ["stopped", "late", "worker", "auth", "notfound", "disk", "disk_full", "unmounted", "output"]:
            self.assertIn(f"`{word}`", gap["description"])


if __name__ == "__main__":
    unittest.main()
