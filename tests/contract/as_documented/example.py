import requests
import json

# API 配置
BASE_URL = "http://localhost:8080/api"
API_KEY = "your-api-key"

headers = {
    "Content-Type": "application/json",
    "Authorization": f"Bearer {API_KEY}"
}

# 创建任务
def create_task():
    task_data = {
        "name": "data_processing",
        "description": "处理每日数据",
        "task_type": "python",
        "executor": "python",
        "command": "process_data.py",
        "schedule": "0 2 * * *",
        "priority": "normal"
    }
    
    response = requests.post(
        f"{BASE_URL}/tasks",
        headers=headers,
        json=task_data
    )
    
    return response.json()

# 获取任务列表
def get_tasks():
    response = requests.get(
        f"{BASE_URL}/tasks",
        headers=headers
    )
    
    return response.json()

# 触发任务
def trigger_task(task_id):
    response = requests.post(
        f"{BASE_URL}/tasks/{task_id}/trigger",
        headers=headers
    )
    
    return response.json()

# 使用示例
if __name__ == "__main__":
    # 创建任务
    result = create_task()
    print(f"创建任务结果: {result}")
    
    # 获取任务列表
    tasks = get_tasks()
    print(f"任务列表: {tasks}")
    
    # 触发任务
    task_id = 1
    result = trigger_task(task_id)
    print(f"触发任务结果: {result}")
