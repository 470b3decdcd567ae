/* Random changes and random queries, against a model that keeps records in an array and looks at every one. */
#include "store_fixture.h"

#include "store/key.h"

static uint64_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n ? (uint32_t)(seed >> 33) % n : 0;
}

#define RUNS 600
#define TASKS 120
#define TAGS 4

struct model_run {
    bool there, hidden;
    uint64_t id, task_id, status, priority, created_at, started_at, completed_at;
    const char *worker;
};

struct model_task {
    bool there;
    uint64_t id, status, priority, created_at, updated_at, next_run_at;
    const char *type;
    char name[64], description[64];
    bool tags[TAGS];
};

struct model {
    struct fixture *fx;
    struct model_run runs[RUNS + 1];
    struct model_task tasks[TASKS + 1];
    uint64_t next_run, next_task, now;
};

static const char *const workers[] = {"", "worker-001", "worker-002", "worker-003"};
static const char *const types[] = {"shell", "python", "http"};
static const char *const tag_names[TAGS] = {"data", "daily", "夜", "x y"};
static const char *const descriptions[] = {"", "Every night's data", "处理每日数据", "Ärger mit Übung", "data daily"};

/* ---- changes ---- */

static void run_write(struct model *model, const struct model_run *run)
{
    struct rec_run record = {.id = run->id,
                             .task_id = run->task_id,
                             .status = run->status,
                             .priority = run->priority,
                             .created_at = run->created_at,
                             .started_at = run->started_at,
                             .completed_at = run->completed_at,
                             .worker_name = str_of(run->worker)};
    fixture_run(model->fx, &record);
}

static void run_change(struct model *model)
{
    struct model_run *run;
    if (model->next_run <= RUNS && random_below(3) == 0) {
        run = &model->runs[model->next_run];
        *run = (struct model_run){.there = true, .id = model->next_run++, .created_at = model->now, .worker = ""};
        run->task_id = random_below(8);
        run->priority = random_below(4);
    } else {
        run = &model->runs[1 + random_below((uint32_t)model->next_run - 1)];
        if (!run->there || run->hidden)
            return;
        if (random_below(12) == 0) {
            run->there = false;
            fixture_delete(model->fx, TYPE_RUN, run->id);
            return;
        }
        run->status = random_below(5);
        run->worker = workers[random_below(4)];
        run->started_at = random_below(4) ? model->now - random_below(50) : 0;
        run->completed_at = run->status >= RUN_COMPLETED ? model->now - random_below(9) : 0;
    }
    run_write(model, run);
}

static void task_write(struct model *model, const struct model_task *task)
{
    struct str tags[TAGS];
    uint32_t count = 0;
    for (int i = 0; i < TAGS; i++) {
        if (task->tags[i])
            tags[count++] = str_of(tag_names[i]);
    }
    struct rec_task record = {
        .id = task->id, .status = task->status, .created_at = task->created_at, .updated_at = task->updated_at};
    record.spec.name = str_of(task->name);
    record.spec.description = str_of(task->description);
    record.spec.task_type = str_of(task->type);
    record.spec.priority = task->priority;
    record.spec.tags = (struct str_list){tags, count};
    SET_HAS(&record.spec, rec_task_spec, name);
    SET_HAS(&record.spec, rec_task_spec, description);
    SET_HAS(&record.spec, rec_task_spec, task_type);
    SET_HAS(&record.spec, rec_task_spec, priority);
    SET_HAS(&record.spec, rec_task_spec, tags);
    fixture_task(model->fx, &record);
    struct rec_task_stat stat = {.id = task->id, .next_run_at = task->next_run_at};
    fixture_op(model->fx, OP_PUT, TYPE_TASK_STAT, task->id, &shape_rec_task_stat, &stat);
}

static void task_change(struct model *model)
{
    struct model_task *task;
    if (model->next_task <= TASKS && random_below(3) == 0) {
        task = &model->tasks[model->next_task];
        *task = (struct model_task){.there = true, .id = model->next_task++, .created_at = model->now};
        snprintf(task->name, sizeof task->name, "task_%u-%s", random_below(9), random_below(2) ? "Nightly" : "job");
    } else {
        task = &model->tasks[1 + random_below((uint32_t)model->next_task - 1)];
        if (!task->there)
            return;
        if (random_below(10) == 0) {
            task->there = false;
            fixture_delete(model->fx, TYPE_TASK, task->id); /* its statistics may stay: they must not show */
            return;
        }
    }
    task->type = types[random_below(3)];
    task->status = random_below(4);
    task->priority = random_below(4);
    task->updated_at = model->now;
    task->next_run_at = random_below(2) ? model->now + random_below(20) : 0;
    snprintf(task->description, sizeof task->description, "%s", descriptions[random_below(5)]);
    for (int i = 0; i < TAGS; i++)
        task->tags[i] = random_below(3) == 0;
    task_write(model, task);
}

static void change_batch(struct model *model)
{
    for (uint32_t i = random_below(20) + 1; i > 0; i--) {
        model->now += random_below(3);
        if (random_below(3))
            run_change(model);
        else
            task_change(model);
    }
    fixture_commit(model->fx);
}

/* ---- the naive way ---- */

struct found {
    uint64_t id, number;
    const char *text;
    bool sparse;
    bool down;
};

static int found_compare(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int order = 0;
    if (x->sparse && (x->number == 0 && !*x->text) != (y->number == 0 && !*y->text))
        return x->number == 0 && !*x->text ? 1 : -1;
    order = strcmp(x->text, y->text);
    if (order == 0)
        order = (x->number > y->number) - (x->number < y->number);
    if (order == 0)
        order = (x->id > y->id) - (x->id < y->id);
    return x->down ? -order : order;
}

static uint64_t run_number(const struct model_run *run, const char *field)
{
    return strcmp(field, "status") == 0         ? run->status
           : strcmp(field, "task_id") == 0      ? run->task_id
           : strcmp(field, "priority") == 0     ? run->priority
           : strcmp(field, "created_at") == 0   ? run->created_at
           : strcmp(field, "started_at") == 0   ? run->started_at
           : strcmp(field, "completed_at") == 0 ? run->completed_at
           : strcmp(field, "worker_name") == 0  ? 0
                                                : run->id;
}

static uint64_t task_number(const struct model_task *task, const char *field)
{
    return strcmp(field, "status") == 0          ? task->status
           : strcmp(field, "spec.priority") == 0 ? task->priority
           : strcmp(field, "created_at") == 0    ? task->created_at
           : strcmp(field, "updated_at") == 0    ? task->updated_at
           : strcmp(field, "next_run_at") == 0   ? task->next_run_at
           : strncmp(field, "spec.", 5) == 0     ? 0
                                                 : task->id;
}

static const char *task_text(const struct model_task *task, const char *field)
{
    return strcmp(field, "spec.name") == 0 ? task->name : strcmp(field, "spec.task_type") == 0 ? task->type : "";
}

static bool compare(uint64_t op, int64_t number, uint64_t mine, const char *text, const char *mine_text)
{
    int order = *text || *mine_text ? strcmp(mine_text, text) : ((int64_t)mine > number) - ((int64_t)mine < number);
    if (op == FILTER_IN)
        return number >> mine & 1;
    return op == FILTER_EQ ? order == 0 : op == FILTER_GE ? order >= 0 : op == FILTER_LT ? order < 0 : order > 0;
}

struct question {
    struct rec_filter filters[4];
    char fields[4][32], texts[4][32];
    uint32_t count;
    char sort[32];
    bool sparse;
    const char *search;
    const char *words[3];
    struct msg_query query;
};

static bool run_matches(const struct model_run *run, const struct question *q)
{
    if (!run->there || run->hidden)
        return false;
    for (uint32_t i = 0; i < q->count; i++) {
        bool text = strcmp(q->fields[i], "worker_name") == 0;
        if (!compare(q->filters[i].op, q->filters[i].number, run_number(run, q->fields[i]), q->texts[i], text ? run->worker : ""))
            return false;
    }
    return true;
}

static bool task_has_word(const struct model_task *task, const char *word)
{
    char all[256], lower[256];
    size_t len = (size_t)snprintf(all, sizeof all, "%s %s", task->name, task->description);
    for (int i = 0; i < TAGS; i++) {
        if (task->tags[i])
            len += (size_t)snprintf(all + len, sizeof all - len, " %s", tag_names[i]);
    }
    for (size_t i = 0; i <= len; i++)
        lower[i] = all[i] >= 'A' && all[i] <= 'Z'                     ? (char)(all[i] + 32)
                   : all[i] == '_' || all[i] == '-' || all[i] == '\'' ? ' '
                                                                      : all[i];
    for (size_t i = 1; i <= len; i++) { /* Ä and Ü */
        if ((unsigned char)lower[i - 1] == 0xc3 && (unsigned char)lower[i] < 0x9f)
            lower[i] = (char)(lower[i] + 0x20);
    }
    size_t width = strlen(word);
    bool alone = (unsigned char)word[0] >= 0xe3; /* a Chinese character: anywhere */
    for (const char *at = strstr(lower, word); at; at = strstr(at + 1, word)) {
        if (alone || ((at == lower || at[-1] == ' ') && (at[width] == '\0' || at[width] == ' ')))
            return true;
    }
    return false;
}

static bool task_matches(const struct model_task *task, const struct question *q)
{
    if (!task->there)
        return false;
    for (uint32_t i = 0; i < q->count; i++) {
        if (q->filters[i].op == FILTER_HAS) {
            bool has = false;
            for (int tag = 0; tag < TAGS; tag++)
                has |= task->tags[tag] && strcmp(tag_names[tag], q->texts[i]) == 0;
            if (!has)
                return false;
        } else if (!compare(q->filters[i].op, q->filters[i].number, task_number(task, q->fields[i]), q->texts[i],
                            task_text(task, q->fields[i]))) {
            return false;
        }
    }
    for (int i = 0; i < 3 && q->words[i]; i++) {
        if (!task_has_word(task, q->words[i]))
            return false;
    }
    return true;
}

static uint32_t model_find(const struct model *model, const struct question *q, struct found *found)
{
    uint32_t count = 0;
    bool runs = q->query.type == TYPE_RUN;
    for (uint32_t i = 1; i <= (runs ? RUNS : TASKS); i++) {
        const struct model_run *run = &model->runs[runs ? i : 0];
        const struct model_task *task = &model->tasks[runs ? 0 : i];
        if (!(runs ? run_matches(run, q) : task_matches(task, q)))
            continue;
        found[count++] =
            (struct found){.id = i,
                           .number = runs ? run_number(run, q->sort) : task_number(task, q->sort),
                           .text = runs ? strcmp(q->sort, "worker_name") == 0 ? run->worker : "" : task_text(task, q->sort),
                           .sparse = q->sparse,
                           .down = q->query.descending};
    }
    qsort(found, count, sizeof *found, found_compare);
    return count;
}

/* ---- questions ---- */

static void filter_add(struct question *q, const char *field, uint64_t op, int64_t number, const char *text)
{
    snprintf(q->fields[q->count], sizeof q->fields[0], "%s", field);
    snprintf(q->texts[q->count], sizeof q->texts[0], "%s", text);
    q->filters[q->count] =
        (struct rec_filter){.field = str_of(q->fields[q->count]), .op = op, .number = number, .text = str_of(q->texts[q->count])};
    q->count++;
}

static void sort_set(struct question *q, const char *field, bool sparse)
{
    snprintf(q->sort, sizeof q->sort, "%s", field);
    q->sparse = sparse;
}

static void ask_runs(const struct model *model, struct question *q)
{
    static const uint64_t ops[] = {FILTER_GE, FILTER_LT, FILTER_GT, FILTER_EQ};
    q->query.type = TYPE_RUN;
    uint32_t span = (uint32_t)model->now + 2;
    for (uint32_t i = random_below(4); i > 0; i--) {
        switch (random_below(9)) {
        case 0:
        case 1:
            filter_add(q, "status", FILTER_EQ, random_below(5), "");
            break;
        case 8:
            filter_add(q, random_below(4) ? "status" : "priority", FILTER_IN, 1 + random_below(31), "");
            break;
        case 2:
            filter_add(q, "task_id", FILTER_EQ, random_below(9), "");
            break;
        case 3:
            filter_add(q, "worker_name", FILTER_EQ, 0, workers[random_below(4)]);
            break;
        case 4:
            filter_add(q, "priority", random_below(2) ? FILTER_EQ : FILTER_GE, random_below(4), "");
            break;
        case 5:
            filter_add(q, "created_at", ops[random_below(4)], random_below(span), "");
            break;
        case 6:
            filter_add(q, "id", ops[random_below(4)], (int64_t)random_below(RUNS + 5) - 2, "");
            break;
        default:
            filter_add(q, "started_at", ops[random_below(3)], random_below(span), "");
        }
    }
    static const char *const sorts[] = {"id", "created_at", "started_at", "completed_at", "status", "task_id", "worker_name"};
    uint32_t sort = random_below(7);
    sort_set(q, sorts[sort], sort == 2 || sort == 3 || sort >= 5);
}

static void ask_tasks(struct question *q)
{
    static const char *const searches[][3] = {{"data", NULL, NULL}, {"daily", "data", NULL}, {"task", "nightly", NULL},
                                              {"数", "据", NULL},   {"übung", NULL, NULL},   {"nothing", NULL, NULL}};
    static const char *const typed[] = {"DATA", "data, Daily!", "task_ nightly", "数据", "ÜBUNG", "nothing"};
    q->query.type = TYPE_TASK;
    for (uint32_t i = random_below(3); i > 0; i--) {
        switch (random_below(4)) {
        case 0:
            filter_add(q, "status", FILTER_EQ, random_below(4), "");
            break;
        case 1:
            filter_add(q, "spec.task_type", FILTER_EQ, 0, types[random_below(3)]);
            break;
        case 2:
            filter_add(q, "spec.priority", FILTER_EQ, random_below(4), "");
            break;
        default:
            filter_add(q, "spec.tags", FILTER_HAS, 0, tag_names[random_below(TAGS)]);
        }
    }
    if (random_below(3) == 0) {
        uint32_t which = random_below(6);
        q->search = typed[which];
        memcpy(q->words, searches[which], sizeof q->words);
    }
    static const char *const sorts[] = {"id",          "created_at",    "updated_at", "spec.name", "spec.priority",
                                        "next_run_at", "spec.task_type"};
    uint32_t sort = random_below(7);
    sort_set(q, sorts[sort], sort == 5);
}

static void ask(struct model *model)
{
    static struct found found[RUNS + 1];
    struct question q = {0};
    if (random_below(3))
        ask_runs(model, &q);
    else
        ask_tasks(&q);
    q.query.sort = str_of(random_below(9) ? q.sort : strcmp(q.sort, "id") == 0 ? "" : q.sort);
    q.query.descending = random_below(2);
    q.query.page = 1 + random_below(random_below(2) ? 3 : 60);
    q.query.size = 1 + random_below(30);
    q.query.filters = (struct rec_filter_list){q.filters, q.count};
    q.query.search = str_of(q.search);
    q.query.also = q.query.type == TYPE_TASK ? TYPE_TASK_STAT : 0;
    uint32_t count = model_find(model, &q, found);
    bool starved = random_below(4) == 0;
    struct msg_query_rows rows;
    struct msg_error error = {0};
    struct kv_txn *txn = kv_snapshot(model->fx->kv, NULL);
    arena_reset(model->fx->arena);
    if (query_page(txn, model->fx->arena, starved ? 20 + random_below(400) : 1000000, &q.query, &rows, &error) != 0) {
        assert_true(starved);
        assert_true(str_is(error.rule, "reach"));
        kv_end(txn);
        return;
    }
    uint64_t offset = (q.query.page - 1) * q.query.size;
    uint64_t expected = offset >= count ? 0 : count - offset < q.query.size ? count - offset : q.query.size;
    if (!rows.total_is_lower_bound) {
        if (rows.total != count || rows.rows.count != expected)
            fail_msg("type %lu sort %s filters %u (%s) search %s: total %lu of %u, rows %u of %lu", (unsigned long)q.query.type,
                     q.sort, q.count, q.fields[0], q.search ? q.search : "", (unsigned long)rows.total, count, rows.rows.count,
                     (unsigned long)expected);
        for (uint32_t i = 0; i < expected; i++) {
            if (rows.rows.items[i].id != found[offset + i].id)
                fail_msg("sort %s %s filters %u (%s): row %u is %lu, not %lu", q.sort, q.query.descending ? "down" : "up",
                         q.count, q.fields[0], i, (unsigned long)rows.rows.items[i].id, (unsigned long)found[offset + i].id);
        }
    } else {
        assert_true(starved);
        assert_true(rows.total <= count);
        assert_true(rows.rows.count > 0 || offset == 0); /* nothing could be taken for the end */
        assert_true(rows.rows.count <= expected);
        for (uint32_t i = 0; i < rows.rows.count; i++) /* what is there is right, if not all */
            assert_int_equal(rows.rows.items[i].id, found[offset + i].id);
    }
    kv_end(txn);
}

/* ---- the database against one made anew from its records ---- */

static void copy_records(struct fixture *from, struct fixture *to)
{
    struct kv_txn *txn = kv_snapshot(from->kv, NULL);
    for (uint64_t type = 1; type < TYPE_MAX; type++) {
        struct kv_cursor *cursor = record_of(type) ? kv_cursor_new(txn, TABLE_RECORDS + (unsigned)type) : NULL;
        struct kv_pair pair;
        if (!cursor)
            continue; /* a number that no type has */
        for (enum kv_result result = kv_first(cursor, &pair); result == KV_OK; result = kv_next(cursor, &pair)) {
            char *copy = malloc(pair.value.len);
            memcpy(copy, pair.value.ptr, pair.value.len);
            to->ops[to->op_count++] =
                (struct rec_op){.op = OP_PUT, .type = type, .id = key_id_at_end(pair.key), .value = {copy, pair.value.len}};
            if (to->op_count == FIXTURE_OPS)
                fixture_commit(to);
        }
        kv_cursor_free(cursor);
    }
    kv_end(txn);
    fixture_commit(to);
}

static void expect_same_table(struct fixture *a, struct fixture *b, unsigned table)
{
    struct kv_txn *x = kv_snapshot(a->kv, NULL), *y = kv_snapshot(b->kv, NULL);
    struct kv_cursor *i = kv_cursor_new(x, table), *j = kv_cursor_new(y, table);
    struct kv_pair p, q;
    enum kv_result r = kv_first(i, &p), s = kv_first(j, &q);
    for (; r == KV_OK && s == KV_OK; r = kv_next(i, &p), s = kv_next(j, &q)) {
        assert_true(str_eq(p.key, q.key));
        assert_true(str_eq(p.value, q.value));
    }
    assert_int_equal(r, KV_NONE);
    assert_int_equal(s, KV_NONE);
    kv_cursor_free(i);
    kv_cursor_free(j);
    kv_end(x);
    kv_end(y);
}

static void expect_consistent(struct fixture *fx)
{
    struct fixture *fresh = fixture_new();
    copy_records(fx, fresh);
    expect_same_table(fx, fresh, TABLE_INDEX);
    expect_same_table(fx, fresh, TABLE_COUNT);
    fixture_free(fresh);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 4; round++) {
        struct model *model = calloc(1, sizeof *model);
        seed = 1000 + round;
        model->fx = fixture_new();
        model->next_run = model->next_task = 1;
        model->now = 1000;
        for (int i = 0; i < 150; i++) {
            change_batch(model);
            for (int j = 0; j < 20; j++)
                ask(model);
            if (i % 50 == 49)
                fixture_restart(model->fx);
        }
        expect_consistent(model->fx);
        fixture_free(model->fx);
        free(model);
    }
}

/* A task's runs are gone for every reader at once, and from the disk in the end; others are as before. */
static void test_purge_hides_at_once(void **state)
{
    (void)state;
    struct model *model = calloc(1, sizeof *model);
    seed = 77;
    model->fx = fixture_new();
    model->next_run = model->next_task = 1;
    model->now = 1000;
    for (int i = 0; i < 200; i++)
        change_batch(model);
    uint32_t budget_breaker = 5000; /* more than is removed in the transaction that deletes */
    for (uint32_t i = 0; i < budget_breaker; i++) {
        struct rec_run run = {.id = 10000 + i, .task_id = 5, .created_at = model->now, .status = i % 5};
        fixture_run(model->fx, &run);
        if (model->fx->op_count == 1000)
            fixture_commit(model->fx);
    }
    fixture_op(model->fx, OP_PURGE_TASK, 0, 5, NULL, NULL);
    fixture_commit(model->fx);
    for (int i = 0; i <= RUNS; i++)
        model->runs[i].hidden |= model->runs[i].task_id == 5;
    assert_true(model->fx->group.purging);
    for (int i = 0; i < 2000; i++)
        ask(model);
    fixture_restart(model->fx); /* it goes on behind a restart */
    assert_true(model->fx->group.purging);
    struct err err = {0};
    assert_int_equal(group_commit(&model->fx->group, NULL, true, &err), KV_OK);
    for (int i = 0; i < 500; i++)
        ask(model);
    fixture_purge(model->fx);
    for (int i = 0; i < 500; i++)
        ask(model);
    expect_consistent(model->fx);
    fixture_free(model->fx);
    free(model);
}

/* ---- answers to wrong questions, and limits ---- */

static void expect_error(struct fixture *fx, const struct msg_query *query, uint64_t code, const char *rule, const char *expected)
{
    struct msg_error error = {0};
    struct msg_query_rows rows;
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    arena_reset(fx->arena);
    assert_int_equal(query_page(txn, fx->arena, 1000, query, &rows, &error), -1);
    assert_int_equal(error.code, code);
    assert_true(str_is(error.rule, rule));
    assert_true(error.text.len > 0);
    if (expected) {
        char text[1100];
        str_copy(text, sizeof text, error.expected);
        if (!strstr(text, expected))
            fail_msg("%s is not in %s", expected, text);
    }
    kv_end(txn);
}

static void test_wrong_questions(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    struct msg_query query = {.type = TYPE_RUN, .sort = STR_LIT("nonsense"), .page = 1, .size = 10};
    expect_error(fx, &query, ERR_BAD_REQUEST, "sort", "id, created_at, status, task_id, worker_name, started_at, completed_at");
    query.sort = STR_LIT("attempts");
    expect_error(fx, &query, ERR_BAD_REQUEST, "sort", NULL);
    query.sort = STR_LIT("");
    struct rec_filter filter = {.field = STR_LIT("nonsense"), .op = FILTER_EQ};
    query.filters = (struct rec_filter_list){&filter, 1};
    expect_error(fx, &query, ERR_BAD_REQUEST, "filter", "worker_name");
    filter.field = STR_LIT("spec");
    expect_error(fx, &query, ERR_BAD_REQUEST, "filter", NULL);
    filter.field = STR_LIT("parameters");
    expect_error(fx, &query, ERR_BAD_REQUEST, "filter", NULL);
    filter.field = STR_LIT("status.x");
    expect_error(fx, &query, ERR_BAD_REQUEST, "filter", NULL);
    filter = (struct rec_filter){.field = STR_LIT("status"), .op = FILTER_HAS};
    expect_error(fx, &query, ERR_BAD_REQUEST, "filter", NULL);
    query.filters.count = 0;
    query.search = STR_LIT("word");
    expect_error(fx, &query, ERR_BAD_REQUEST, "filter", NULL);
    query.search = STR_LIT("");
    query.type = 63; /* no record has it */
    expect_error(fx, &query, ERR_BAD_REQUEST, "type", NULL);
    query.type = TYPE_RUN;
    query.also = 63;
    expect_error(fx, &query, ERR_BAD_REQUEST, "type", NULL);
    fixture_free(fx);
}

static void test_page_far_behind_the_end(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    struct rec_run run = {.id = 1, .created_at = 5};
    fixture_run(fx, &run);
    fixture_commit(fx);
    struct msg_query query = {.type = TYPE_RUN, .page = INT64_MAX, .size = 1000};
    struct msg_query_rows rows;
    kv_end(fixture_query(fx, &query, 1000, &rows));
    assert_int_equal(rows.rows.count, 0);
    assert_int_equal(rows.total, 1);
    fixture_free(fx);
}

/* Page 1 of a filter with a sort costs the same however many rows there are: a bound of 100 rows is enough for it. */
static void test_first_page_is_cheap(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    for (uint64_t i = 1; i <= 20000; i++) {
        struct rec_run run = {.id = i,
                              .task_id = 1 + i % 2,
                              .status = i % 4,
                              .created_at = i,
                              .started_at = i % 4 ? 100000 - i : 0,
                              .completed_at = i % 4 > 1 ? i : 0,
                              .worker_name = i % 4 ? STR_LIT("worker-001") : STR_LIT("")};
        fixture_run(fx, &run);
        if (fx->op_count == 4000)
            fixture_commit(fx);
    }
    static const char *const sorts[] = {"id", "created_at", "started_at", "completed_at"};
    static const char *const fields[] = {NULL, "status", "task_id", "worker_name"};
    for (int i = 0; i < 4 * 4 * 2; i++) {
        const char *field = fields[i / 8];
        struct rec_filter filter = {.field = str_of(field), .op = FILTER_EQ, .number = 2, .text = STR_LIT("worker-001")};
        struct msg_query query = {.type = TYPE_RUN,
                                  .filters = {&filter, field ? 1 : 0},
                                  .sort = str_of(sorts[i / 2 % 4]),
                                  .descending = i % 2,
                                  .page = 1,
                                  .size = 20};
        struct msg_query_rows rows;
        kv_end(fixture_query(fx, &query, 100, &rows));
        assert_int_equal(rows.rows.count, 20);
        assert_false(rows.total_is_lower_bound);
        assert_int_equal(rows.total, !field ? 20000 : i / 8 == 1 ? 5000 : i / 8 == 2 ? 10000 : 15000);
    }
    fixture_free(fx);
}

static void test_get(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    struct rec_task task = {.id = 7, .created_at = 1, .updated_at = 1};
    struct rec_task_stat stat = {.id = 7, .total = 3};
    fixture_task(fx, &task);
    fixture_op(fx, OP_PUT, TYPE_TASK_STAT, 7, &shape_rec_task_stat, &stat);
    task.id = 9;
    fixture_task(fx, &task);
    fixture_commit(fx);
    uint64_t ids[] = {9, 8, 7, 7};
    struct msg_get get = {.type = TYPE_TASK, .ids = {ids, 4}, .also = TYPE_TASK_STAT};
    struct msg_query_rows rows;
    struct msg_error error = {0};
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    assert_int_equal(query_get(txn, fx->arena, &get, &rows, &error), 0);
    assert_int_equal(rows.rows.count, 3);
    assert_int_equal(rows.rows.items[0].id, 9);
    assert_int_equal(rows.rows.items[0].also.len, 0);
    assert_int_equal(rows.rows.items[1].id, 7);
    struct rec_task_stat read;
    assert_int_equal(rec_decode_task_stat(fx->arena, rows.rows.items[1].also, &read, NULL), 0);
    assert_int_equal(read.total, 3);
    get.type = 0;
    assert_int_equal(query_get(txn, fx->arena, &get, &rows, &error), -1);
    kv_end(txn);
    fixture_free(fx);
}

static void expect_shown(struct fixture *fx, struct str value, const char *const *texts)
{
    struct rec_task task;
    assert_int_equal(rec_decode_task(fx->arena, value, &task, NULL), 0);
    for (uint32_t i = 0; i < task.spec.dependencies.count; i++)
        assert_true(texts[i] && str_is(task.spec.dependencies.items[i], texts[i]));
    assert_null(texts[task.spec.dependencies.count]);
}

static void named_task(struct fixture *fx, uint64_t id, const char *name)
{
    struct rec_task task = {.id = id, .created_at = id, .updated_at = id};
    task.spec.name = str_of(name);
    SET_HAS(&task.spec, rec_task_spec, name);
    fixture_task(fx, &task);
}

/* What a task waits for is shown by the names of now; in a page, and to a scheduler that reads everything, it is as it is stored. */
static void test_shown(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    struct str typed[] = {STR_LIT("one"), STR_LIT("2"), STR_LIT("three")};
    uint64_t ids[] = {1, 2, 3}, nine = 9;
    struct rec_task task = {.id = 9, .created_at = 9, .updated_at = 9, .dependency_ids = {ids, 3}};
    struct msg_get get = {.type = TYPE_TASK, .ids = {&nine, 1}};
    struct msg_query query = {.type = TYPE_TASK, .page = 1, .size = 10, .descending = true};
    struct msg_scan scan = {.type = TYPE_TASK, .after = 8, .limit = 10};
    struct msg_query_rows rows;
    struct msg_scan_rows scanned;
    struct msg_error error = {0};
    task.spec.dependencies = (struct str_list){typed, 3};
    SET_HAS(&task.spec, rec_task_spec, dependencies);
    named_task(fx, 1, "one");
    named_task(fx, 2, "two");
    named_task(fx, 3, "three");
    fixture_task(fx, &task);
    fixture_commit(fx);
    struct kv_txn *before = kv_snapshot(fx->kv, NULL);
    named_task(fx, 1, "uno");
    named_task(fx, 4, "one");
    fixture_delete(fx, TYPE_TASK, 3);
    fixture_commit(fx);
    struct kv_txn *after = kv_snapshot(fx->kv, NULL);
    assert_int_equal(query_get(before, fx->arena, &get, &rows, &error), 0);
    expect_shown(fx, rows.rows.items[0].value, (const char *const[]){"one", "2", "three", NULL});
    assert_int_equal(query_get(after, fx->arena, &get, &rows, &error), 0);
    expect_shown(fx, rows.rows.items[0].value, (const char *const[]){"uno", "2", "3", NULL});
    assert_int_equal(query_page(after, fx->arena, 1000, &query, &rows, &error), 0);
    assert_int_equal(rows.rows.items[0].id, 9);
    expect_shown(fx, rows.rows.items[0].value, (const char *const[]){"one", "2", "three", NULL});
    assert_int_equal(query_scan(after, fx->arena, &scan, &scanned, &error), 0);
    expect_shown(fx, scanned.rows.items[0].value, (const char *const[]){"one", "2", "three", NULL});
    kv_end(before);
    kv_end(after);
    fixture_free(fx);
}

static void test_scan(void **state)
{
    (void)state;
    struct fixture *fx = fixture_new();
    for (uint64_t i = 1; i <= 2500; i++) {
        struct rec_run run = {.id = i, .status = i % 3, .created_at = i};
        fixture_run(fx, &run);
    }
    fixture_commit(fx);
    struct kv_txn *txn = kv_snapshot(fx->kv, NULL);
    struct msg_scan scan = {.type = TYPE_RUN, .field = STR_LIT("status"), .number = 0, .limit = 300};
    struct msg_scan_rows rows = {0};
    struct msg_error error = {0};
    uint64_t seen = 0;
    while (!rows.end) {
        arena_reset(fx->arena);
        assert_int_equal(query_scan(txn, fx->arena, &scan, &rows, &error), 0);
        for (uint32_t i = 0; i < rows.rows.count; i++)
            assert_int_equal(rows.rows.items[i].id, ++seen * 3);
        scan.after = rows.rows.count ? rows.rows.items[rows.rows.count - 1].id : scan.after;
    }
    assert_int_equal(seen, 833);
    scan = (struct msg_scan){.type = TYPE_RUN, .after = 2400, .limit = 100};
    assert_int_equal(query_scan(txn, fx->arena, &scan, &rows, &error), 0);
    assert_int_equal(rows.rows.count, 100);
    assert_true(rows.end);
    scan = (struct msg_scan){.type = TYPE_RUN, .field = STR_LIT("worker_name"), .limit = 100};
    assert_int_equal(query_scan(txn, fx->arena, &scan, &rows, &error), -1);
    kv_end(txn);
    fixture_free(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_purge_hides_at_once),
        cmocka_unit_test(test_wrong_questions),
        cmocka_unit_test(test_page_far_behind_the_end),
        cmocka_unit_test(test_first_page_is_cheap),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
