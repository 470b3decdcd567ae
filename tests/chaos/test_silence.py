"""A connection that goes silent and tells nobody, as behind a firewall that lost its table, is given up within seconds."""

import http.client
import time
import unittest

from tests.chaos.ground import Ground
from tests.farm import SLOW, wait_for

SECONDS = 15  # proto/bus_socket.c: a beat every 2 s, given up after 5; and what a reconnect takes, on a machine that has other work


class Silence(unittest.TestCase):
    def test_each_link(self):
        with Ground(workers=1, lease_seconds=3600) as farm:
            task = farm.task("silent")
            for link in ("scheduler-store", "gateway-scheduler", "gateway-store", "worker1-workers"):
                run = farm.trigger(task)
                farm.wait_run(run)
                began = time.monotonic()
                farm.proxy.turn(link, "stale", 1)

                def works():
                    try:
                        made = farm.post(f"/api/tasks/{task}/trigger", {}, timeout=5)
                        return made.status == 201 and farm.wait_run(made.body["data"]["run_id"], timeout=SECONDS)
                    except (OSError, http.client.HTTPException):
                        return False

                wait_for(works, SECONDS, f"a farm that works, with {link} silent")
                self.assertLess(time.monotonic() - began, SECONDS * SLOW, link)
                print(f"{link}: back after {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    unittest.main()
