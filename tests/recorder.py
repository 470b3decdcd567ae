"""A worker of the recorder whose every word is the test's."""

from tests.bus import ScriptedWorker

API = "/recorder/api"


class Recorder(ScriptedWorker):
    """A worker that says what recordings would say."""

    def __init__(self, farm):
        super().__init__(farm.endpoint("workers"), types=("record",), executors=("record",), slots=4)

    def __enter__(self):
        self.hello()
        self.given = []
        return self

    def __exit__(self, *more):
        self.tell("bye")
        super().__exit__(*more)

    def begin(self):
        while not self.given:
            self.given = list(self.expect("assign")["runs"])
        run = self.given.pop(0)
        self.tell("accept", leases=[{"run_id": run["run_id"], "attempt": run["attempt"]}])
        return run

    def end(self, run, outcome=1, **said):
        self.insist("result", "result_ack", items=[dict(said, run_id=run["run_id"], attempt=run["attempt"], outcome=outcome)])
