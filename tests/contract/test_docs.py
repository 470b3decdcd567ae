"""/docs: the page and the document, as they are in the source; who may read them; and the net that holds answers to it."""

from docs.http import document as spec
from docs.http import page
from tests.contract.base import Contract
from tests.contract.documented import Documented
from tests.contract.test_http import GatewayAlone
from tests.farm import Answer


class Docs(GatewayAlone):
    """A gateway alone: they need neither store nor scheduler."""

    def test_the_page(self):
        answer = self.farm.get("/docs")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertEqual(answer.body, page.PAGE.read_text())
        self.assertEqual(answer.headers["content-security-policy"],
                         "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertEqual(self.farm.request("HEAD", "/docs").status, 200)
        self.error(self.farm.post("/docs"), 405, "VALIDATION_ERROR")
        self.error(self.farm.get("/docs/"), 404, "RESOURCE_NOT_FOUND")
        self.error(self.farm.get("/docs/other.yaml"), 404, "RESOURCE_NOT_FOUND")

    def test_the_document(self):
        answer = self.farm.get("/docs/scheduler.yaml")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/yaml; charset=utf-8"))
        self.assertEqual(answer.body, spec.SOURCE.read_text())
        self.error(self.farm.put("/docs/scheduler.yaml", {}), 405, "VALIDATION_ERROR")


class Keys(GatewayAlone):
    settings = {"auth_required": "always"}

    def test_any_key_will_do(self):
        for path in ("/docs", "/docs/scheduler.yaml"):
            self.error(self.farm.get(path), 401, "AUTHENTICATION_ERROR")
            self.error(self.farm.get(path + "?api_key=nonsense"), 401, "AUTHENTICATION_ERROR")


class Net(Contract):
    options = {"workers": 0}

    def refused(self, documented, method, path, answer, words):
        with self.assertRaisesRegex(AssertionError, words):
            documented.check(method, path, answer)

    def test_what_the_document_does_not_say_is_found(self):
        documented = Documented()
        self.farm.task("documented")
        good = self.farm.get("/api/tasks/1")
        documented.check("GET", "/api/tasks/1", good)
        data = good.body["data"]
        self.refused(documented, "GET", "/api/tasks/1", good._replace(status=202), "answers 202")
        self.refused(documented, "GET", "/api/nothing", good, "is not in")
        self.refused(documented, "PATCH", "/api/tasks/1", good, "is not in")
        for wrong in (dict(data, id="1"), dict(data, status="asleep"), dict(data, colour="red"), dict(data, tags=[1]), dict(data, name=None),
                      {k: v for k, v in data.items() if k != "statistics"}, dict(data, created_at="yesterday"),
                      dict(data, statistics=dict(data["statistics"], total_runs=1.5))):
            self.refused(documented, "GET", "/api/tasks/1", good._replace(body=dict(good.body, data=wrong)), "does not say")
        self.refused(documented, "GET", "/api/tasks/1", Answer(200, {"content-type": "text/plain", "x-request-id": "1"}, "x"), "text/plain")
        bad = self.farm.get("/api/tasks/7")
        self.refused(documented, "GET", "/api/tasks/7", bad._replace(body=dict(bad.body, success=True)), "does not say")


if __name__ == "__main__":
    import unittest
    unittest.main()
