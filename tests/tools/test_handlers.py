"""Every process handles every message that is sent to it: the table's TO column is held against the handler tables."""

import re
import unittest

from tests.tools.source import messages, read, tracked, without_comments

# Spoken by everybody: the bus itself answers PING and builds ERROR; DONE and PONG are answers.
COMMON = {"ERROR", "PING", "PONG", "DONE"}
ROOM_OF = {"SCHEDULER": "scheduler", "STORE": "store", "WORKER": "worker", "GATEWAY": "gateway"}


def code_of(room):
    return "\n".join(without_comments(read(p)) for p in tracked(".c") if p.parts[0] == room)


def rows(code):
    """Messages that have a row {MSG_X, …} in a table."""
    return set(re.findall(r"\{\s*MSG_(\w+)\s*,", code))


class Handlers(unittest.TestCase):
    def test_the_table_is_read(self):
        names = [name for name, _, _, _ in messages()]
        self.assertIn("RUN_SUBMIT", names)
        self.assertEqual(len(names), read("proto/messages.def").count("\nMSG("))

    def test_servers_have_a_row_for_each_message(self):
        """Scheduler, store and worker: a row in a handler table each."""
        for party in ("SCHEDULER", "STORE", "WORKER"):
            sent = {name for name, _, _, to in messages() if to == party} - COMMON
            with self.subTest(party):
                self.assertEqual(sorted(sent - rows(code_of(ROOM_OF[party]))), [])

    def test_no_row_for_a_message_that_goes_elsewhere(self):
        for party, room in ROOM_OF.items():
            sent = {name for name, _, _, to in messages() if to in (party, "ANY", "PEER")}
            with self.subTest(party):
                self.assertEqual(sorted(rows(code_of(room)) - sent), [])

    def test_gateway_knows_its_answers(self):
        """What the gateway is sent are answers to what it asked, read where it asked, and the doorbell, which the bus delivers typed."""
        code = code_of("gateway")
        for name, low, _, to in messages():
            if to == "GATEWAY" and name != "DOORBELL":
                with self.subTest(name):
                    self.assertRegex(code, rf"\bMSG_{name}\b|\bu\.{low}\b")

    def test_senders_send_what_the_table_says(self):
        """A room names the shape of a message only if it sends or receives it."""
        for party, room in ROOM_OF.items():
            allowed = {low for _, low, sender, to in messages() if party in (sender, to) or "ANY" in (sender, to)}
            # Clients on the workers' socket may command: that is the scheduler's side, which is named anyway.
            named = set(re.findall(r"\bshape_msg_(\w+)", code_of(room)))
            with self.subTest(party):
                self.assertEqual(sorted(named - allowed), [])


if __name__ == "__main__":
    unittest.main()
