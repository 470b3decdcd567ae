"""/api/webhooks: what a client sees, and what a receiver gets."""

from tests.contract.base import Contract
from tests.farm import wait_for
from tests.receiver import Receiver, signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK = {"id": 1, "url": "", "events": [""], "description": "", "task_id": None, "active": True,
           "statistics": {"delivered": 0, "failed": 0, "pending": 0, "missed": 0},
           "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}
DELIVERY = {"id": 1, "webhook_id": 1, "event": "", "event_id": 1, "status": "", "attempts": 1, "next_at": None, "completed_at": None,
            "status_code": None, "error": None, "duration_ms": 1, "payload": {"event": "", "timestamp": "2024-01-01T00:00:00Z", "data": {}},
            "created_at": "2024-01-01T00:00:00Z"}


class Webhooks(Contract):
    options = {"webhooks_retry_ms": 20, "webhooks_timeout_seconds": 120}  # nothing is sent twice because the receiver stood still

    def setUp(self):
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)

    def tearDown(self):
        for webhook in self.data(self.farm.get("/api/webhooks?size=1000"))["items"]:
            self.farm.delete(f"/api/webhooks/{webhook['id']}")

    def make(self, **fields):
        return self.data(self.farm.post("/api/webhooks", dict({"url": self.receiver.url()}, **fields)), 201)

    def deliveries(self, webhook, query=""):
        return self.data(self.farm.get(f"/api/webhooks/{webhook}/deliveries{query}"))["items"]

    def wait_delivery(self, webhook, tried=False, **wanted):
        def there():
            for delivery in self.deliveries(webhook):
                if all(delivery[key] == value for key, value in wanted.items()) and (not tried or delivery["attempts"] > 0):
                    return delivery
            return None

        return wait_for(there, 20, f"a delivery with {wanted}")

    # -- the resource --

    def test_a_webhook_lives(self):
        made = self.make(description="words", events=["task.failed", "worker.*"])
        self.check_shape(made, WEBHOOK, more=("secret",))
        self.assertRegex(made["secret"], r"^whsec_[A-Za-z0-9+/]{32}$")
        self.assertEqual(made["events"], ["task.failed", "worker.*"])
        got = self.data(self.farm.get(f"/api/webhooks/{made['id']}"))
        self.check_shape(got, WEBHOOK)  # without its secret
        listed = self.data(self.farm.get("/api/webhooks"))
        self.assertEqual((listed["total"], [w["id"] for w in listed["items"]]), (1, [made["id"]]))
        self.check_shape(listed["items"][0], WEBHOOK)
        put = self.data(self.farm.put(f"/api/webhooks/{made['id']}", {"active": False, "events": [], "description": None}))
        self.assertEqual((put["active"], put["description"], put["url"]), (False, "", made["url"]))
        self.assertIn("task.completed", put["events"])
        self.assertNotIn("worker.heartbeat", put["events"])
        gone = self.data(self.farm.delete(f"/api/webhooks/{made['id']}"))
        self.assertEqual(gone["deleted_id"], made["id"])
        self.error(self.farm.get(f"/api/webhooks/{made['id']}"), 404, "RESOURCE_NOT_FOUND", "id")

    def test_refusals(self):
        for body, field, rule in [({}, "url", "required"), ({"url": "ftp://x/"}, "url", "format"), ({"url": "nonsense"}, "url", "format"),
                                  ({"url": "http://me:secret@127.0.0.1/"}, "url", "format"), ({"url": "http://a/ b"}, "url", "format"),
                                  ({"url": "http://x/" + "y" * 2048}, "url", "length"), ({"url": 5}, "url", "type"),
                                  ({"events": ["task.exploded"]}, "events", "enum"), ({"events": "task.failed"}, "events", "type"),
                                  ({"events": ["task.failed"] * 33}, "events", "items"), ({"secret": "whsec_??"}, "secret", "format"),
                                  ({"task_id": "x"}, "task_id", "type"), ({"active": 1}, "active", "type")]:
            with self.subTest(body=body):
                body = body if "url" in body or not body else dict(body, url=self.receiver.url())
                answer = self.farm.post("/api/webhooks", body)
                self.error(answer, 422, "VALIDATION_ERROR", field, rule)
                self.assertNotIn("??", str(answer.body))
        for method, path in [("GET", "/api/webhooks/99"), ("PUT", "/api/webhooks/99"), ("DELETE", "/api/webhooks/99"), ("POST", "/api/webhooks/99/ping"),
                             ("GET", "/api/webhooks/99/deliveries"), ("POST", "/api/webhooks/99/deliveries/5/redeliver")]:
            with self.subTest(path=path):
                body = {} if method in ("PUT", "POST") else None
                self.error(self.farm.request(method, path, body), 404, "RESOURCE_NOT_FOUND", "id")
        made = self.make()["id"]
        self.error(self.farm.get("/api/webhooks/x"), 400, "VALIDATION_ERROR", "id")
        self.error(self.farm.get("/api/webhooks?page=0"), 400, "VALIDATION_ERROR", "page")
        self.error(self.farm.get(f"/api/webhooks/{made}/deliveries?status=lost"), 400, "VALIDATION_ERROR", "status", "enum")
        self.error(self.farm.post(f"/api/webhooks/{made}/deliveries/99/redeliver"), 404, "RESOURCE_NOT_FOUND", "id")
        english = self.farm.post("/api/webhooks", {"url": "http://169.254.169.254/"}, headers={"Accept-Language": "en"})
        self.assertIn("nothing is sent to this address", self.error(english, 422, "VALIDATION_ERROR", "url", "target")["message"])

    def test_a_repeat_makes_nothing_twice(self):
        first, second = (self.farm.post("/api/webhooks", {"url": self.receiver.url()}, headers={"Idempotency-Key": "once"}) for _ in range(2))
        self.assertEqual(first.body["data"], second.body["data"])  # the secret too
        self.assertEqual(self.data(self.farm.get("/api/webhooks"))["total"], 1)

    # -- deliveries --

    def test_events_arrive_signed(self):
        webhook = self.make(secret=SECRET)
        task = self.farm.task("hooked")
        run = self.farm.trigger(task)
        self.farm.wait_run(run, "completed")
        wait_for(lambda: self.receiver.of("task.completed"), 20, "the delivery")
        done = self.receiver.of("task.completed")[0]
        self.assertEqual(set(done.body), {"event", "timestamp", "data"})
        self.assertEqual((done.body["data"]["task_id"], done.body["data"]["task_name"], done.body["data"]["run_id"]), (task, "hooked", run))
        for event in ("task.created", "task.triggered", "run.started", "task.completed"):
            wait_for(lambda: self.receiver.of(event), 20, event)
        ids = [d.headers["webhook-id"] for d in self.receiver.got]
        self.assertEqual(len(ids), len(set(ids)))
        for delivery in self.receiver.got:
            self.assertTrue(signed(delivery, SECRET))
            self.assertFalse(signed(delivery, SECRET.replace("M", "N", 1)))
            self.assertEqual(delivery.headers["content-type"], "application/json")
            self.assertNotIn(".", delivery.headers["webhook-id"])
        kept = self.wait_delivery(webhook["id"], event="task.completed", status="delivered")
        self.check_shape(kept, dict(DELIVERY, payload=done.body))
        self.assertEqual((kept["attempts"], kept["status_code"], kept["next_at"]), (1, 204, None))
        wait_for(lambda: self.data(self.farm.get(f"/api/webhooks/{webhook['id']}"))["statistics"]["delivered"] >= 4, 20, "the count")
        self.farm.delete(f"/api/tasks/{task}")

    def test_filters(self):
        other = Receiver()
        self.addCleanup(other.close)
        mine = self.farm.task("mine")
        self.make(events=["task.*"], task_id=mine)
        self.make(url=other.url(), events=["task.failed"])
        theirs = self.farm.task("theirs", "exit 3")
        for task in (mine, theirs):
            self.farm.wait_run(self.farm.trigger(task))
        wait_for(lambda: other.of("task.failed") and self.receiver.of("task.completed"), 20, "both")
        self.assertEqual({d.body["data"]["task_id"] for d in self.receiver.got}, {mine})
        self.assertEqual([d.body["event"] for d in other.got], ["task.failed"])
        self.assertIn("error_message", other.got[0].body["data"])
        for task in (mine, theirs):
            self.farm.delete(f"/api/tasks/{task}")

    def test_a_task_names_who_is_told(self):
        failed = self.make(events=["worker.unregistered"])["id"]
        completed = self.make(url=self.receiver.url("/completed"), events=["worker.unregistered"])["id"]
        fields = {"name": "tells", "task_type": "shell", "executor": "shell", "command": "true", "retry_count": 0}
        self.error(self.farm.post("/api/tasks", dict(fields, metadata={"notify": {"failed": [999]}})), 422, "VALIDATION_ERROR",
                   "metadata.notify", "unknown_webhook")
        self.error(self.farm.post("/api/tasks", dict(fields, metadata={"notify": [failed]})), 422, "VALIDATION_ERROR", "metadata.notify", "format")
        self.error(self.farm.post("/api/tasks", dict(fields, metadata={"notify": {"failed": list(range(1, 18))}})), 422, "VALIDATION_ERROR",
                   "metadata.notify", "format")
        notify = {"notify": {"failed": [failed], "completed": [completed]}}
        for name, command in (("well", "true"), ("badly", "exit 1")):
            task = self.farm.task(name, command, metadata=notify)
            self.farm.wait_run(self.farm.trigger(task))
        wait_for(lambda: len(self.receiver.got) >= 2, 20, "both")
        self.assertEqual(sorted((d.path, d.body["event"], d.body["data"]["task_name"]) for d in self.receiver.got),
                         [("/completed", "task.completed", "well"), ("/hook", "task.failed", "badly")])

    def test_what_fails_is_tried_again_and_given_up(self):
        self.receiver.status = 500
        webhook = self.make()["id"]
        self.data(self.farm.post(f"/api/webhooks/{webhook}/ping"), 201)
        pending = self.wait_delivery(webhook, event="webhook.ping", status="pending", status_code=500)
        self.assertIsNotNone(pending["next_at"])
        self.assertIn("500", pending["error"])
        self.assertEqual(self.deliveries(webhook, "?status=delivered"), [])
        self.receiver.status = 200
        arrived = self.wait_delivery(webhook, event="webhook.ping", status="delivered")
        self.assertGreaterEqual(arrived["attempts"], 2)
        self.assertIsNotNone(arrived["completed_at"])
        ids = {d.headers["webhook-id"] for d in self.receiver.of("webhook.ping")}
        self.assertEqual(len(ids), 1)  # the same at each try

    def test_again_by_hand(self):
        webhook = self.make(events=["task.created"])["id"]
        task = self.farm.task("again")
        delivery = self.wait_delivery(webhook, event="task.created", status="delivered")
        answer = self.data(self.farm.post(f"/api/webhooks/{webhook}/deliveries/{delivery['id']}/redeliver"), 201)
        self.assertEqual((answer["id"], answer["status"]), (delivery["id"], "pending"))
        wait_for(lambda: len(self.receiver.got) == 2, 20, "the second one")
        self.wait_delivery(webhook, id=delivery["id"], status="delivered", attempts=2)
        self.assertEqual(len({d.headers["webhook-id"] for d in self.receiver.got}), 1)
        other = self.make()["id"]
        self.error(self.farm.post(f"/api/webhooks/{other}/deliveries/{delivery['id']}/redeliver"), 404, "RESOURCE_NOT_FOUND", "id")
        self.farm.delete(f"/api/tasks/{task}")

    def test_inactive_ones_are_left_alone(self):
        webhook = self.make(events=["task.created"])["id"]
        self.data(self.farm.put(f"/api/webhooks/{webhook}", {"active": False}))
        self.farm.task("unseen")
        self.data(self.farm.put(f"/api/webhooks/{webhook}", {"active": True}))
        self.farm.task("seen")
        wait_for(lambda: self.receiver.got, 20, "a delivery")
        self.assertEqual([d.body["data"]["task_name"] for d in self.receiver.got], ["seen"])

    def test_heartbeats_only_by_name(self):
        self.make(events=["worker.heartbeat"])
        beat = wait_for(lambda: self.receiver.of("worker.heartbeat"), 30, "a heartbeat")[0]
        self.assertEqual(beat.body["data"]["worker_id"], "worker-001")

    # -- where nothing goes --

    def test_link_local_targets_are_refused(self):
        for host in ("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]", "[fe80::1]", "[::]", "0.0.0.0",
                     "[64:ff9b::a9fe:a9fe]"):
            with self.subTest(host=host):
                self.error(self.farm.post("/api/webhooks", {"url": f"http://{host}/"}), 422, "VALIDATION_ERROR", "url", "target")

    def test_redirects_are_not_followed(self):
        self.receiver.status = 302
        self.receiver.headers = {"Location": self.receiver.url("/elsewhere")}
        webhook = self.make()["id"]
        self.farm.post(f"/api/webhooks/{webhook}/ping")
        delivery = self.wait_delivery(webhook, event="webhook.ping", status_code=302)
        self.assertIn("redirect", delivery["error"])
        self.assertEqual({d.path for d in self.receiver.got}, {"/hook"})

    def test_silence_is_a_failure(self):
        self.receiver.status = 0
        webhook = self.make()["id"]
        self.farm.post(f"/api/webhooks/{webhook}/ping")
        delivery = self.wait_delivery(webhook, event="webhook.ping", tried=True)
        self.assertIsNone(delivery["status_code"])
        self.assertTrue(delivery["error"])
        nobody = self.make(url="http://127.0.0.1:1/")["id"]
        self.farm.post(f"/api/webhooks/{nobody}/ping")
        self.assertIn("onnect", self.wait_delivery(nobody, event="webhook.ping", tried=True)["error"])

    def test_a_slow_one_holds_up_nobody(self):
        slow = Receiver("hang")
        self.addCleanup(slow.close)
        for n in range(40):
            self.make(url=slow.url(f"/{n}"))
        self.make(events=["task.created"])
        for n in range(5):
            self.farm.task(f"while-slow-{n}")
        wait_for(lambda: len(self.receiver.got) == 5, 20, "all of the quick one's")
        wait_for(lambda: slow.got, what="the slow one's being asked")


class Denied(Contract):
    options = {"webhooks_deny_networks": "127.0.0.0/8", "webhooks_retry_ms": 20}

    def test_denied_networks(self):
        with Receiver() as receiver:
            self.error(self.farm.post("/api/webhooks", {"url": receiver.url()}), 422, "VALIDATION_ERROR", "url", "target")
            # By name it is seen when it is connected to.
            made = self.data(self.farm.post("/api/webhooks", {"url": f"http://localhost:{receiver.port}/"}), 201)
            self.farm.post(f"/api/webhooks/{made['id']}/ping")

            def tried():
                items = self.data(self.farm.get(f"/api/webhooks/{made['id']}/deliveries"))["items"]
                return [d for d in items if d["event"] == "webhook.ping" and d["attempts"] > 0 and d["error"]]

            wait_for(tried, 20, "a try")
            self.assertEqual(receiver.got, [])


class Bounds(Contract):
    options = {"webhooks_pending": 5, "webhooks_max": 3, "webhooks_keep": 10, "events_max": 1000, "webhooks_retry_ms": 20}

    def webhook(self, number):
        return self.data(self.farm.get(f"/api/webhooks/{number}"))

    def test_what_a_dead_target_may_cost(self):
        with Receiver(500) as receiver:
            number = self.data(self.farm.post("/api/webhooks", {"url": receiver.url(), "events": ["task.triggered"]}), 201)["id"]
            task = self.farm.task("many", task_type="nobody")
            wait_for(lambda: self.farm.data_of(self.farm.post(f"/api/tasks/{task}/trigger-batch", {"items": [{}] * 20})) and
                     self.webhook(number)["statistics"]["pending"] == 5, 20, "the bound")
            for _ in range(3):
                self.data(self.farm.post(f"/api/tasks/{task}/trigger-batch", {"items": [{}] * 1000}), 201)
            listed = self.data(self.farm.get(f"/api/webhooks/{number}/deliveries?status=pending"))
            self.assertEqual(listed["total"], 5)
            receiver.status = 200
            # It goes on behind what was dropped, and says how much that was.
            wait_for(lambda: self.webhook(number)["statistics"]["missed"] >= 900, 30, "the count of what was dropped")
            last = self.data(self.farm.get("/api/events?follow=false&type=task.triggered&size=1"))["items"][0]["data"]["run_id"]
            wait_for(lambda: any(d.body["data"]["run_id"] == last for d in list(receiver.got)), 60, "the newest")
            wait_for(lambda: self.data(self.farm.get(f"/api/webhooks/{number}/deliveries?status=delivered"))["total"] == 10, 30, "what is kept")

    def test_so_many_and_no_more(self):
        made = []
        while True:
            answer = self.farm.post("/api/webhooks", {"url": "http://127.0.0.1:1/"})
            if answer.status != 201:
                break
            made.append(answer.body["data"]["id"])
        self.error(answer, 429, "SYSTEM_ERROR", "webhooks", "limit")
        self.assertLessEqual(len(made), 3)
        for number in made:
            self.farm.delete(f"/api/webhooks/{number}")
