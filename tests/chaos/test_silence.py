"""A connection that goes silent and tells nobody, as behind a firewall that lost its table, is given up within seconds."""

import http.client
import time
import unittest

from tests.chaos.ground import Ground
from tests.farm import wait_for

SECONDS = 70  # ten times what it takes: proto/bus_socket.c has a beat every 2 s, and gives up after 5. Nobody else ever would
TIME_LIMIT = 600.0


class Silence(unittest.TestCase):
    def test_each_link(self):
        with Ground(workers=1, lease_seconds=3600, bus_deadline_ms=28000) as farm:
            task = farm.task("silent")
            for link in ("scheduler-store", "gateway-scheduler", "gateway-store", "worker1-workers"):
                run = farm.trigger(task)
                farm.wait_run(run)
                began = time.monotonic()
                farm.proxy.turn(link, "stale", 1)

                def works():
                    try:
                        made = farm.post(f"/api/tasks/{task}/trigger", {}, timeout=15)
                        return made.status == 201 and farm.wait_run(made.body["data"]["run_id"], timeout=SECONDS)
                    except (OSError, http.client.HTTPException):
                        return False

                wait_for(works, SECONDS, f"a farm that works, with {link} silent")
                print(f"{link}: back after {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    unittest.main()
