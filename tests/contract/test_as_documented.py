"""The examples that the API's document ends with, as they stand there: nothing in them is changed, port 8080 included."""

import ast
import json
import pathlib
import subprocess
import unittest

from tests.contract.base import PATIENT
from tests.contract.document import TEXT
from tests.farm import BUILD, ROOT, SLOW, Farm, clean_environment

HERE = pathlib.Path(__file__).resolve().parent / "as_documented"
DOCUMENT = sorted((ROOT.parent / "shared" / "seeds").glob("004_*.txt"))  # where they are from; beside a checkout, or not


class AsDocumented(unittest.TestCase):
    def run_example(self, *command):
        """What it printed; each has a farm of its own, whose first task it makes."""
        with Farm(**PATIENT) as farm:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120 * SLOW, check=False,
                                  env=dict(clean_environment(), LD_PRELOAD=str(BUILD / "tests" / "port.so"), PORT_8080=str(farm.port)))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.answers_of_the_farm(farm)
            return done.stdout, done.stderr

    def answers_of_the_farm(self, farm):
        task = farm.get("/api/tasks/1").body["data"]
        self.assertEqual((task["name"], task["schedule"], task["executor"]), ("data_processing", "0 2 * * *", "python"))
        self.assertEqual([run["task_id"] for run in farm.get("/api/runs").body["data"]["items"]], [1])

    def test_curl(self):
        printed = self.run_example("/bin/sh", str(HERE / "example.sh"))[0]
        answers = []
        while printed.strip():
            answer, end = json.JSONDecoder().raw_decode(printed.strip())
            answers.append(answer)
            printed = printed.strip()[end:]
        created, listed, task, triggered, health = answers
        self.assertTrue(all(answer["success"] for answer in answers))
        self.assertEqual([created["data"]["id"], task["data"]["id"], listed["data"]["total"]], [1, 1, 1])
        self.assertEqual((triggered["data"]["task_id"], triggered["data"]["status"]), (1, "pending"))
        self.assertEqual(health["data"]["status"], "healthy")

    def test_python(self):
        lines = self.run_example("/usr/bin/python3", str(HERE / "example.py"))[0].splitlines()
        created, listed, triggered = (ast.literal_eval(line.split(": ", 1)[1]) for line in lines)
        self.assertEqual([created["data"]["id"], listed["data"]["total"], triggered["data"]["task_id"]], [1, 1, 1])
        self.assertEqual(listed["data"]["items"][0]["description"], "处理每日数据")

    def test_javascript(self):
        printed, errors = self.run_example("node", str(HERE / "example.js"))
        self.assertNotIn("API 调用失败", errors)
        self.assertEqual(printed.count("success: true"), 3, printed)

    def test_they_are_the_documents(self):
        for name in ("example.sh", "example.py", "example.js"):
            self.assertIn((HERE / name).read_text(), TEXT, name)

    @unittest.skipUnless(DOCUMENT, "the document is not there")
    def test_the_copy_is_the_document(self):
        self.assertEqual(DOCUMENT[0].read_text(), TEXT)


if __name__ == "__main__":
    unittest.main()
