"""Whatever scheduler and store say that goes wrong, a client hears one of the document's codes, whole: both are scripted here."""

from tests.contract import document
from tests.contract.scripted import Scripted
from tests.contract.test_http import GatewayAlone
from tests.farm import wait_for

# enum error_code -> what a client hears of it from the store, and from the scheduler.
BAD_REQUEST, INVALID, NOT_FOUND, CONFLICT, KEY_REUSED, LIMIT, UNAVAILABLE, UNKNOWN, FORBIDDEN, PROTOCOL, NO_MEMORY, INTERNAL, IO = range(1, 14)
FROM_STORE = {
    BAD_REQUEST: (400, "VALIDATION_ERROR"), NOT_FOUND: (404, "RESOURCE_NOT_FOUND"), LIMIT: (400, "VALIDATION_ERROR"), UNAVAILABLE: (503, "DATABASE_ERROR"),
    PROTOCOL: (500, "SYSTEM_ERROR"), NO_MEMORY: (503, "SYSTEM_ERROR"), INTERNAL: (500, "SYSTEM_ERROR"), IO: (503, "DATABASE_ERROR"), 63: (500, "SYSTEM_ERROR"),
}
FROM_SCHEDULER = {
    BAD_REQUEST: (400, "VALIDATION_ERROR"), INVALID: (422, "VALIDATION_ERROR"), NOT_FOUND: (404, "RESOURCE_NOT_FOUND"), CONFLICT: (409, "RESOURCE_CONFLICT"),
    KEY_REUSED: (422, "VALIDATION_ERROR"), LIMIT: (429, "SYSTEM_ERROR"), UNAVAILABLE: (503, "DATABASE_ERROR"), UNKNOWN: (503, "DATABASE_ERROR"),
    FORBIDDEN: (403, "AUTHORIZATION_ERROR"), PROTOCOL: (500, "SYSTEM_ERROR"), NO_MEMORY: (503, "SYSTEM_ERROR"), INTERNAL: (500, "SYSTEM_ERROR"),
    IO: (500, "SYSTEM_ERROR"), 63: (500, "SYSTEM_ERROR"),
}


class Codes(GatewayAlone):
    settings = {"bus_deadline_ms": 120000}  # they answer from this process, which may stand still

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.store, cls.scheduler = (Scripted(cls.farm.endpoint(name), ("error", {"code": INTERNAL})) for name in ("store", "scheduler"))
        wait_for(lambda: cls.farm.get("/api/tasks/1").status == 500, what="the gateway's finding the store")
        wait_for(lambda: cls.farm.post("/api/tasks/1/pause").status == 500, what="the gateway's finding the scheduler")

    @classmethod
    def tearDownClass(cls):
        cls.store.close()
        cls.scheduler.close()
        super().tearDownClass()

    def test_what_the_store_says(self):
        for code, (status, word) in FROM_STORE.items():
            with self.subTest(code=code):
                self.store.answer = ("error", {"code": code, "text": "a sentence"})
                self.error(self.farm.get("/api/tasks/1"), status, word)

    def test_what_the_scheduler_says(self):
        for code, (status, word) in FROM_SCHEDULER.items():
            with self.subTest(code=code):
                self.scheduler.answer = ("error", {"code": code, "text": "a sentence"})
                self.error(self.farm.post("/api/tasks/1/pause"), status, word)

    def test_a_record_that_cannot_be_read(self):
        self.store.answer = ("query_rows", {"rows": [{"id": 1, "value": b"\xc1"}], "total": 1})
        for path in ("/api/tasks/1", "/api/runs/1", "/api/webhooks/1"):
            self.error(self.farm.get(path), 500, "SYSTEM_ERROR")
        # A list leaves it out, and its process says so.
        self.assertEqual(self.data(self.farm.get("/api/tasks"))["items"], [])
        self.assertIn("GTY-ROW-DAMAGED", self.farm.log("gateway"))

    def test_they_are_the_documents(self):
        answered = set(FROM_STORE.values()) | set(FROM_SCHEDULER.values())
        self.assertLessEqual({str(status) for status, _ in answered}, set(document.words_of("HTTP 状态码")))
        self.assertLessEqual({word for _, word in answered}, set(document.words_of("错误代码")))


if __name__ == "__main__":
    import unittest
    unittest.main()
