#!/usr/bin/python3
"""A worker of the transcode API as they exist: it knows HTTP and that API, and nothing of Gantry.
Usage: api_worker.py URL NAME TYPE SUPPORT_VR OUT [--old]
OUT gets a line of each task that it has done: task id, path. "Transcoding" is a tenth of a second for each of ten reports."""
import http.client, json, pathlib, sys, threading, time, urllib.error, urllib.request

URL, NAME, TYPE, VR, OUT = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), pathlib.Path(sys.argv[5])
OLD = "--old" in sys.argv


class Gone(Exception):
    """What it has is not its own any more."""


def call(method, path, body=None):
    """(status, code, data); away servers are asked again, as any loop of such a worker does."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(URL + path, data=data, method=method, headers={"Content-Type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, raw = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, raw = error.code, error.read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
            continue
        if status in (500, 502, 503, 504):
            time.sleep(0.1)
            continue
        body = json.loads(raw)
        return status, body["code"], body.get("data")


def register():
    while True:
        path = "/api/v1/worker/register" if OLD else "/api/v1/workers"
        status, _, data = call("POST", path, {"worker_name": NAME, "worker_type": TYPE, "support_vr": VR})
        if status in (200, 201):
            return data["worker_id"]
        time.sleep(1)  # 409: its former start is still online


def beats(number):
    while True:
        call("POST", "/api/v1/worker/heartbeat" if OLD else "/api/v1/workers/heartbeat", {"worker_name": NAME, "worker_id": number})
        time.sleep(5)


def report(number, task, progress, status, **more):
    body = dict({"worker_id": number, "progress": progress, "status": status}, **more)
    if OLD:
        answer = call("POST", "/api/v1/task/progress", dict(body, task_id=task))
    else:
        answer = call("PATCH", f"/api/v1/tasks/{task}", body)
    if answer[0] != 200:
        raise Gone(answer)


def work(number, task, path):
    call("POST", "/api/v1/logs", {"task_id": task, "log_level": 1, "log_message": f"begins {path}"})
    if "broken" in path:
        report(number, task, 0, 3, error_message="ffmpeg exited with 1")
        return
    for step in range(10):
        report(number, task, step * 10.0, 1, elapsed_time=step, remaining_time=10 - step)
        time.sleep(0.1)
    report(number, task, 100, 2, elapsed_time=10, remaining_time=0)
    with OUT.open("a") as out:
        out.write(f"{task} {path}\n")


def main():
    number = register()
    threading.Thread(target=beats, args=(number,), daemon=True).start()
    while True:
        if OLD:
            status, code, data = call("GET", f"/api/v1/task/new?worker_id={number}&worker_name={NAME}")
        else:
            status, code, data = call("POST", "/api/v1/tasks", {"worker_id": number, "worker_type": TYPE, "support_vr": VR, "dest_path": None})
        if code == 205:
            return
        if status in (200, 201) and data:
            try:
                work(number, data["task_id"], data["video_path"])
            except Gone as why:
                print(f"lost {data['task_id']}: {why}", flush=True)
            continue
        time.sleep(0.2)


main()
