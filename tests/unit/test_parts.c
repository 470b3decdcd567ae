/* Parts of uploads and the tasks they belong to. Bus, timers and the helper thread are not there: what is asked is answered here (linked with
 * --wrap). */
#include "tests/unit/unit.h"

#include "gateway/ask.h"
#include "gateway/files.h"
#include "gateway/surfaces/transcode_parts.h"
#include "gateway/surfaces/transcode_upload.h"
#include "proto/bus.h"

static struct gateway gateway;
static loop_fn *look; /* of the timers the one that was set last */
static bus_reply *reply;
static unsigned questions;
static uint64_t ids; /* how many the last one asked for */

struct bus_client *__wrap_ask_client(struct ask *ask, enum ask_whom whom);
uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *told, void *arg);
void __wrap_bus_forget(struct bus_client *client, uint64_t corr);
int __wrap_loop_every(struct loop *loop, uint64_t interval_ms, loop_fn *fn, void *arg);
void __wrap_loop_cancel(struct loop *loop, int timer);
void __wrap_files_do(struct files *files, struct file_job *job);
bool __wrap_upload_save(const struct gateway *of, char out[4096]);

struct bus_client *__wrap_ask_client(struct ask *ask, enum ask_whom whom)
{
    (void)ask, (void)whom;
    return NULL;
}

uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *told, void *arg)
{
    (void)client, (void)rid, (void)deadline_ms, (void)arg;
    assert_ptr_equal(shape, &shape_msg_get);
    ids = ((const struct msg_get *)value)->ids.count;
    reply = told;
    return ++questions;
}

void __wrap_bus_forget(struct bus_client *client, uint64_t corr)
{
    (void)client, (void)corr;
}

int __wrap_loop_every(struct loop *loop, uint64_t interval_ms, loop_fn *fn, void *arg)
{
    (void)loop, (void)interval_ms, (void)arg;
    look = fn;
    return 0;
}

void __wrap_loop_cancel(struct loop *loop, int timer)
{
    (void)loop, (void)timer;
}

void __wrap_files_do(struct files *files, struct file_job *job)
{
    (void)files;
    job->work(job);
    job->done(job);
}

/* There is nothing to walk through. */
bool __wrap_upload_save(const struct gateway *of, char out[4096])
{
    (void)of, (void)out;
    return false;
}

static bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* What is noted while the store is asked has not been asked for: that no row of it comes says nothing. */
static void test_noted_meanwhile(void **state)
{
    (void)state;
    char folder[UNIT_FOLDER_SIZE], ended[128], open[128];
    const struct msg none = {.shape = &shape_msg_query_rows};
    struct parts *parts = parts_new(&gateway);
    assert_non_null(parts);
    unit_folder(folder);
    snprintf(ended, sizeof(ended), "%s/ended", folder);
    snprintf(open, sizeof(open), "%s/open", folder);
    unit_write(ended, "x");
    unit_write(open, "x");
    parts_note(parts, 1, ended);
    look(parts);
    parts_note(parts, 2, open);
    assert_int_equal(ids, 1);
    reply(parts, &none, NULL);
    assert_false(there(ended));
    assert_true(there(open));
    look(parts); /* and is asked for in its turn */
    assert_int_equal(questions, 2);
    assert_int_equal(ids, 1);
    reply(parts, &none, NULL);
    assert_false(there(open));
    parts_free(parts);
    unit_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_noted_meanwhile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
