"""Webhooks and live events over kills and restarts: nothing that was committed goes untold."""

import resource
import unittest

from tests.farm import BUILD, Farm, free_port, wait_for
from tests.faults import have_shim
from tests.receiver import Receiver, Stream, signed
from tests.patience import PATIENT


def make(farm, url, **fields):
    return farm.data_of(farm.post("/api/webhooks", dict({"url": url}, **fields)))


def deliveries(farm, webhook, query="?size=1000"):
    return farm.data_of(farm.get(f"/api/webhooks/{webhook}/deliveries{query}"))["items"]


@unittest.skipUnless(have_shim(), "nothing can be preloaded beside a sanitizer")
class Names(unittest.TestCase):
    def test_a_name_that_is_looked_up_for_long(self):
        """A try ends at its time limit, and the gateway goes on, though the lookup does not: its thread is left behind."""
        with Farm(start=False, webhooks_timeout_seconds=1, **PATIENT) as farm:
            gate = farm.data / "answers"
            farm.environments["gateway"] = {"LD_PRELOAD": str(BUILD / "tests" / "names.so"), "SLOW_NAMES": str(gate)}
            farm.start_all()
            webhook = make(farm, "http://hook.slow.invalid/")
            farm.data_of(farm.post(f"/api/webhooks/{webhook['id']}/ping", {}))
            wait_for(lambda: [d for d in deliveries(farm, webhook["id"]) if d["attempts"] > 0], 20, "the end of the first try")
            self.assertFalse(gate.exists())
            farm.data_of(farm.delete(f"/api/webhooks/{webhook['id']}"))
            wait_for(lambda: farm.get("/healthz").status == 200, what="a healthy farm")
            gate.touch()


class Kills(unittest.TestCase):
    def test_killed_while_a_delivery_is_in_backoff(self):
        for victim in ("gateway", "scheduler", "store", "worker1"):
            with self.subTest(victim), Farm(webhooks_retry_ms=30, **PATIENT) as farm, Receiver(500) as receiver:
                webhook = make(farm, receiver.url(), events=["task.*"])
                task = farm.task("told")
                run = farm.trigger(task)
                farm.wait_run(run, "completed")
                wait_for(lambda: any(d["event"] == "task.completed" and d["status"] == "pending" for d in deliveries(farm, webhook["id"])), 20, "a backoff")
                farm.kill(victim)
                receiver.status = 200
                farm.start(victim)
                farm.wait_ready()

                def all_there():
                    items = deliveries(farm, webhook["id"])
                    return {d["event"] for d in items if d["status"] == "delivered"} >= {"task.created", "task.triggered", "task.completed"} and \
                        all(d["status"] == "delivered" for d in items)

                wait_for(all_there, 120, "everything delivered")
                for event in ("task.created", "task.triggered", "task.completed"):
                    self.assertEqual(len({d.headers["webhook-id"] for d in receiver.of(event)}), 1, event)
                self.assertTrue(all(signed(d, webhook["secret"]) for d in receiver.got))

    def test_what_happens_while_no_gateway_is_there(self):
        """The gateway dies under a stream of events and comes back: each arrives, under one id."""
        with Farm(**PATIENT) as farm, Receiver() as receiver:
            make(farm, receiver.url(), events=["task.triggered"])
            task = farm.task("many", task_type="nobody")
            made = []
            for round_ in range(4):
                made += farm.data_of(farm.post(f"/api/tasks/{task}/trigger-batch", {"items": [{}] * 100}))["run_ids"]
                farm.kill("gateway")
                farm.start("gateway")
                farm.wait_ready()
            wait_for(lambda: {d.body["data"]["run_id"] for d in receiver.got} >= set(made), 60, "all of them")
            ids = {}
            for delivery in receiver.got:
                self.assertEqual(ids.setdefault(delivery.body["data"]["run_id"], delivery.headers["webhook-id"]), delivery.headers["webhook-id"])

    def test_an_outage_of_the_store_sends_nothing_twice(self):
        """What was delivered and cannot be reported waits for the store."""
        with Farm(**PATIENT) as farm, Receiver() as receiver:
            stopped = []

            def answer(delivery):
                if not stopped:
                    farm.stop("store")
                    stopped.append(True)
                return 200

            receiver.status = answer
            webhook = make(farm, receiver.url(), events=["task.created"])["id"]
            farm.task("held up")
            wait_for(lambda: stopped, 20, "the delivery")
            farm.kill("store")
            wait_for(lambda: farm.get("/api/system/health").status == 503, 20, "an outage")
            farm.start("store")
            farm.wait_ready()
            wait_for(lambda: [d["status"] for d in deliveries(farm, webhook)] == ["delivered"], 30, "its report")
            farm.task("behind")
            wait_for(lambda: len(deliveries(farm, webhook)) == 2, 30, "the next one")
            self.assertEqual([d.body["data"]["task_name"] for d in receiver.got], ["held up", "behind"])

    def test_a_second_gateway_delivers_nothing_twice(self):
        """While the first one has the claim. Where it stood still for so long that the second one took over, what it had sent may come again."""
        with Farm(log_level="debug", **PATIENT) as farm, Receiver() as receiver:
            make(farm, receiver.url(), events=["task.created"])
            second = free_port()
            farm.start("gateway2", ["--port", str(second)])
            wait_for(lambda: "GTY-HTTP-LISTEN" in farm.log("gateway2"), 20, "the second gateway")
            for n in range(20):
                farm.task(f"once-{n}")
            wait_for(lambda: len({d.body["data"]["task_name"] for d in receiver.got}) == 20, 20, "all of them")
            came = list(receiver.got)
            self.assertEqual(len({d.headers["webhook-id"] for d in came}), 20)
            if len(came) != 20:
                wait_for(lambda: "GTY-WEBHOOK-SENT" in farm.log("gateway2"), what="the second gateway's having taken over")
            # And it takes over when the first one dies.
            farm.kill("gateway")
            farm.port = second
            farm.task("behind")
            wait_for(lambda: "behind" in {d.body["data"]["task_name"] for d in receiver.got}, 30, "the second one's delivery")
            self.assertEqual(farm.terminate("gateway2"), 0)


class Slow(unittest.TestCase):
    def test_a_hundred_that_never_answer(self):
        with Farm(webhooks_timeout_seconds=2, webhooks_max=200, **PATIENT) as farm, Receiver("hang") as slow, Receiver() as quick:
            for n in range(100):
                make(farm, slow.url(f"/{n}"))
            make(farm, quick.url(), events=["task.completed"])
            task = farm.task("goes-on")
            runs = [farm.trigger(task) for _ in range(10)]
            for run in runs:
                farm.wait_run(run, "completed")
            wait_for(lambda: {d.body["data"]["run_id"] for d in quick.got} == set(runs), 20, "the quick one's")
            wait_for(lambda: len({d.path for d in slow.got}) == 100, 30, "a try at each of the slow ones")


class Streams(unittest.TestCase):
    def test_resumed_over_a_restart_of_the_gateway(self):
        with Farm(**PATIENT) as farm:
            farm.task("zero")
            with Stream(farm, "?type=task.created&after=0") as first:
                wait_for(lambda: first.events, 20, "the first")
                last = first.events[-1][0]
                farm.kill("gateway")
                wait_for(lambda: first.ended, 20, "its end")
            farm.start("gateway")
            farm.wait_ready()
            names = [f"behind-{n}" for n in range(3)]
            for name in names:
                farm.task(name)
            with Stream(farm, "?type=task.created", {"Last-Event-ID": str(last)}) as second:
                wait_for(lambda: len(second.events) >= 3, 20, "what came since")
                self.assertEqual([data["data"]["task_name"] for _, _, data in second.events], names)
                farm.restart("scheduler")
                farm.wait_ready()
                farm.task("further")
                wait_for(lambda: second.events[-1][2]["data"]["task_name"] == "further", 20, "an event behind a restart of the scheduler")
                farm.restart("store")
                farm.wait_ready()
                farm.task("and further")
                wait_for(lambda: second.events[-1][2]["data"]["task_name"] == "and further", 20, "an event behind a restart of the store")

    def test_the_farms_health_is_an_event(self):
        with Farm() as farm, Stream(farm, "?type=system.health_check") as stream:
            farm.stop("store")
            wait_for(lambda: farm.get("/api/system/health").status == 503, 20, "an unhealthy farm")
            farm.cont("store")
            farm.wait_ready()

            def statuses():
                return [data["data"]["status"] for _, _, data in stream.events]

            wait_for(lambda: "unhealthy" in statuses() and statuses()[-1] == "healthy", 60, "both changes")

    def test_a_thousand_clients(self):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with Farm(http_connections=1200, **PATIENT) as farm:
            streams = [Stream(farm, "?type=task.created") for _ in range(1000)]
            try:
                farm.task("for all")  # who has been answered misses nothing
                wait_for(lambda: all(stream.events for stream in streams), 60, "an event for each")
                self.assertEqual({stream.events[0][2]["data"]["task_name"] for stream in streams}, {"for all"})
            finally:
                for stream in streams:
                    stream.close()


if __name__ == "__main__":
    unittest.main()
