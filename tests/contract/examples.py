"""The examples of the task scheduler's API, for the endpoints that are built: what each answers in `data`."""

TASK = {
    "id": 1, "name": "data_processing", "description": "处理每日数据", "task_type": "python", "executor": "python",
    "command": "process_data.py", "arguments": ["--input", "data.csv"], "schedule": "0 2 * * *", "priority": "normal", "retry_count": 3,
    "timeout_seconds": 3600, "status": "active", "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
    "last_run_at": None, "next_run_at": "2024-01-01T02:00:00Z", "dependencies": [], "tags": ["data", "daily"], "metadata": {},
}

TASK_DETAIL = dict(TASK, statistics={
    "total_runs": 100, "successful_runs": 95, "failed_runs": 5, "average_execution_time": 30.5, "last_execution_status": "success"})


def page(item, size=20):
    return {"items": [item], "total": 1, "page": 1, "size": size, "total_pages": 1}


TASK_LIST = page({
    "id": 1, "name": "data_processing", "description": "处理每日数据", "task_type": "python", "status": "active", "priority": "normal",
    "created_at": "2024-01-01T00:00:00Z", "next_run_at": "2024-01-01T02:00:00Z"})

TASK_DELETED = {"message": "任务删除成功", "deleted_id": 1}

TRIGGERED = {"task_id": 1, "run_id": 123, "status": "pending", "worker_id": None, "started_at": None,
             "estimated_completion": "2024-01-01T00:05:00Z"}

PAUSED = {"id": 1, "status": "paused", "updated_at": "2024-01-01T00:01:00Z"}

RUN_LIST = page({
    "id": 123, "task_id": 1, "task_name": "data_processing", "worker_id": "worker-001", "status": "completed",
    "started_at": "2024-01-01T00:00:00Z", "completed_at": "2024-01-01T00:00:30Z", "result": "数据处理完成", "error_message": None,
    "retry_count": 0, "created_at": "2024-01-01T00:00:00Z"})

RUN_DETAIL = {
    "id": 123, "task_id": 1, "task_name": "data_processing", "worker_id": "worker-001", "worker_hostname": "server-01",
    "status": "completed", "started_at": "2024-01-01T00:00:00Z", "completed_at": "2024-01-01T00:00:30Z", "execution_time": 30.5,
    "result": "数据处理完成", "error_message": None, "retry_count": 0, "parameters": {"input": "data.csv", "output": "processed_data.csv"},
    "logs": [{"timestamp": "2024-01-01T00:00:00Z", "level": "info", "message": "开始处理数据"}], "created_at": "2024-01-01T00:00:00Z"}

# Ours, beside what the API's example shows of a run.
RUN_MORE = ("error_code", "priority", "timeout_seconds", "due_at", "attempt", "progress", "progress_note", "reason", "attempts", "restart_of", "output")

RESTARTED = {"original_run_id": 123, "new_run_id": 124, "status": "pending", "started_at": "2024-01-01T00:01:00Z"}

ABORTED = {"id": 123, "status": "aborted", "completed_at": "2024-01-01T00:01:00Z", "message": "任务运行已中止"}

WORKER = {
    "id": "worker-001", "hostname": "server-01", "ip_address": "192.168.1.100", "port": 8080, "task_types": ["python", "shell"],
    "max_concurrent_tasks": 5, "current_task_count": 2, "status": "active", "last_heartbeat": "2024-01-01T00:00:00Z",
    "registered_at": "2024-01-01T00:00:00Z", "load_average": 0.4, "memory_usage": 512, "cpu_usage": 25.5}

WORKER_LIST = page(WORKER)

WORKER_DETAIL = dict(
    WORKER,
    current_tasks=[{"run_id": 123, "task_id": 1, "task_name": "data_processing", "started_at": "2024-01-01T00:00:00Z",
                    "status": "running"}],
    statistics={"total_tasks_executed": 1000, "successful_tasks": 950, "failed_tasks": 50, "average_execution_time": 30.5,
                "uptime": "7d 12h 30m"})

WORKER_MORE = ("metadata", "executors", "labels", "link")

WORKER_CHANGED = {
    "id": "worker-001", "hostname": "server-01", "ip_address": "192.168.1.100", "port": 8080, "task_types": ["python", "shell"],
    "max_concurrent_tasks": 5, "current_task_count": 0, "status": "active", "last_heartbeat": "2024-01-01T00:00:00Z",
    "registered_at": "2024-01-01T00:00:00Z", "metadata": {}}

WORKER_CHANGED_MORE = ("executors", "labels", "link")

WORKER_REMOVED = {"message": "Worker 注销成功", "worker_id": "worker-001"}

HEARTBEAT = {"worker_id": "worker-001", "status": "active", "last_heartbeat": "2024-01-01T00:00:00Z", "message": "心跳接收成功"}

HEARTBEAT_MORE = ("cancel", "heartbeat_seconds")

LEASED = {
    "run_id": 123, "attempt": 1, "task_id": 1, "task_name": "data_processing", "task_type": "python", "executor": "python",
    "command": "process_data.py", "arguments": ["--input"], "parameters": {"input": "data.csv"}, "timeout_seconds": 3600, "env": {"A": "b"},
    "cwd": None, "run_as": None, "limits": {}, "output": None, "published": None, "metadata": {}}

REPORTED = {"run_id": 123, "attempt": 1, "status": "completed", "cancel": []}

HEALTH = {
    "status": "healthy", "timestamp": "2024-01-01T00:00:00Z", "version": "1.0.0",
    "components": {
        "database": {"status": "healthy", "response_time": 0.005, "connection_pool": {"total": 10, "active": 2, "idle": 8}},
        "message_queue": {"status": "healthy", "response_time": 0.002, "queue_size": 0},
        "scheduler": {"status": "healthy", "active_workers": 5, "pending_tasks": 0},
        "api": {"status": "healthy", "request_rate": 10.5, "response_time": 0.001}}}

STATS = {
    "tasks": {"total": 100, "active": 80, "paused": 10, "completed": 10, "failed": 0},
    "task_runs": {"total": 1000, "pending": 5, "running": 10, "completed": 980, "failed": 5, "aborted": 0},
    "workers": {"total": 10, "active": 8, "offline": 1, "draining": 1, "average_load": 0.3},
    "performance": {"average_execution_time": 30.5, "tasks_per_minute": 50.2, "success_rate": 98.0, "system_uptime": "7d 12h 30m"},
    "resource_usage": {"cpu_usage": 25.5, "memory_usage": 1024, "disk_usage": 85.5,
                       "network_io": {"bytes_in": 1024000, "bytes_out": 2048000}}}

# Beside what the API's example shows, a line has an id; its metadata are what it says.
SYSTEM_LOGS = page({"timestamp": "2024-01-01T00:00:00Z", "level": "info", "service": "scheduler", "message": "任务调度完成", "metadata": {}}, 50)
