// API 配置
const BASE_URL = 'http://localhost:8080/api';
const API_KEY = 'your-api-key';

const headers = {
    'Content-Type': 'application/json',
    'Authorization': `Bearer ${API_KEY}`
};

// 创建任务
async function createTask() {
    const taskData = {
        name: 'data_processing',
        description: '处理每日数据',
        task_type: 'python',
        executor: 'python',
        command: 'process_data.py',
        schedule: '0 2 * * *',
        priority: 'normal'
    };
    
    const response = await fetch(`${BASE_URL}/tasks`, {
        method: 'POST',
        headers: headers,
        body: JSON.stringify(taskData)
    });
    
    return await response.json();
}

// 获取任务列表
async function getTasks() {
    const response = await fetch(`${BASE_URL}/tasks`, {
        headers: headers
    });
    
    return await response.json();
}

// 触发任务
async function triggerTask(taskId) {
    const response = await fetch(`${BASE_URL}/tasks/${taskId}/trigger`, {
        method: 'POST',
        headers: headers
    });
    
    return await response.json();
}

// 使用示例
(async () => {
    try {
        // 创建任务
        const result = await createTask();
        console.log('创建任务结果:', result);
        
        // 获取任务列表
        const tasks = await getTasks();
        console.log('任务列表:', tasks);
        
        // 触发任务
        const taskId = 1;
        const triggerResult = await triggerTask(taskId);
        console.log('触发任务结果:', triggerResult);
    } catch (error) {
        console.error('API 调用失败:', error);
    }
})();
