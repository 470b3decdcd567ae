"""Clients that are gone before their answer is there."""

import json
import re
import socket
import struct
import unittest

from tests.farm import Farm, wait_for
from tests.patience import PATIENT


def leave_question(farm, path, body):
    """Sends a POST and resets the connection once the gateway has taken it in."""
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    one = socket.create_connection(("127.0.0.1", farm.port))
    one.sendall(head.encode() + text)
    return one


def reset(one):
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


class ClientsLeave(unittest.TestCase):
    def test_nobody_is_waited_for_twice(self):
        """At its end the gateway waits for the answers that are due: not for those of clients that left, and for all others."""
        with Farm(workers=0, **PATIENT) as farm:
            task = farm.task("left")
            farm.stop("scheduler")
            asked = [leave_question(farm, f"/api/tasks/{task}/trigger", {"parameters": {"n": n}}) for n in range(20)]
            self.assertEqual(farm.get("/api/runs").status, 200)  # behind them in the gateway's loop
            for one in asked:
                reset(one)
            farm.cont("scheduler")
            wait_for(lambda: farm.data_of(farm.get("/api/runs?size=1"))["total"] == 20, 60, "what they asked for")
            self.assertEqual(farm.post(f"/api/tasks/{task}/trigger", {}).status, 201)
            self.assertEqual(farm.terminate("gateway"), 0)
            self.assertEqual(re.findall(r"GTY-STOP waiting=(\d+)", farm.log("gateway")), ["0"])
            farm.start("gateway")


if __name__ == "__main__":
    unittest.main()
