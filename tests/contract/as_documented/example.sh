# 创建任务
curl -X POST http://localhost:8080/api/tasks \
  -H "Content-Type: application/json" \
  -H "Authorization: Bearer your-api-key" \
  -d '{
    "name": "data_processing",
    "description": "处理每日数据",
    "task_type": "python",
    "executor": "python",
    "command": "process_data.py",
    "schedule": "0 2 * * *",
    "priority": "normal"
  }'

# 获取任务列表
curl -X GET http://localhost:8080/api/tasks \
  -H "Authorization: Bearer your-api-key"

# 获取任务详情
curl -X GET http://localhost:8080/api/tasks/1 \
  -H "Authorization: Bearer your-api-key"

# 触发任务
curl -X POST http://localhost:8080/api/tasks/1/trigger \
  -H "Authorization: Bearer your-api-key"

# 获取系统健康状态
curl -X GET http://localhost:8080/api/system/health \
  -H "Authorization: Bearer your-api-key"
