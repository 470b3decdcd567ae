/* What is known of the disk that is recorded to. Bus, loop and helper thread are not there: what is asked of them is kept, and answered here
 * (linked with --wrap). */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>

#include "gateway/ask.h"
#include "gateway/files.h"
#include "gateway/recorder_disk.h"

static struct gateway gateway;
static struct recorder_disk *disk;
static char root[UNIT_FOLDER_SIZE], one[256], other[256];
static loop_fn *timer;
static bus_reply *reply; /* NULL: nothing is asked */
static const struct shape *asked;
static void *asker;
static struct file_job *job; /* NULL: none is under way */

struct bus_client *__wrap_ask_client(struct ask *ask, enum ask_whom whom);
uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *on_reply, void *arg);
bool __wrap_bus_client_is_up(const struct bus_client *client);
void __wrap_bus_forget(struct bus_client *client, uint64_t corr);
int __wrap_loop_every(struct loop *loop, uint64_t interval_ms, loop_fn *callback, void *arg);
void __wrap_loop_cancel(struct loop *loop, int number);
void __wrap_files_do(struct files *files, struct file_job *done);
int64_t __wrap_settings_count_of(const struct settings *settings, enum setting_id id);

struct bus_client *__wrap_ask_client(struct ask *ask, enum ask_whom whom)
{
    (void)ask, (void)whom;
    return NULL;
}

uint64_t __wrap_bus_ask(struct bus_client *client, const struct shape *shape, const void *value, struct str rid,
                        uint64_t deadline_ms, bus_reply *on_reply, void *arg)
{
    (void)client, (void)value, (void)rid, (void)deadline_ms;
    asked = shape;
    reply = on_reply;
    asker = arg;
    return 1;
}

bool __wrap_bus_client_is_up(const struct bus_client *client)
{
    (void)client;
    return true;
}

void __wrap_bus_forget(struct bus_client *client, uint64_t corr)
{
    (void)client, (void)corr;
}

int __wrap_loop_every(struct loop *loop, uint64_t interval_ms, loop_fn *callback, void *arg)
{
    (void)loop, (void)interval_ms, (void)arg;
    timer = callback;
    return 1;
}

void __wrap_loop_cancel(struct loop *loop, int number)
{
    (void)loop, (void)number;
}

void __wrap_files_do(struct files *files, struct file_job *done)
{
    (void)files;
    job = done;
}

int64_t __wrap_settings_count_of(const struct settings *settings, enum setting_id id)
{
    (void)settings, (void)id;
    return 0;
}

static int setup(void **unused)
{
    (void)unused;
    unit_folder(root);
    snprintf(one, sizeof one, "%s/one", root);
    snprintf(other, sizeof other, "%s/other", root);
    assert_int_equal(mkdir(one, 0755) | mkdir(other, 0755), 0);
    disk = recorder_disk_new(&gateway, NULL);
    return disk ? 0 : -1;
}

static int teardown(void **unused)
{
    (void)unused;
    recorder_disk_free(disk);
    unit_remove(root);
    return 0;
}

/* The scheduler says that it records into this folder, where that cycle was recorded before. */
static void hear(const char *folder, const char *past)
{
    static struct msg msg;
    timer(disk);
    assert_ptr_equal(asked, &shape_msg_recorder_ask);
    msg = (struct msg){.shape = &shape_msg_recorder_view};
    msg.u.recorder_view = (struct msg_recorder_view){.loaded = true, .folder = str_of(folder), .past = str_of(past)};
    reply(asker, &msg, NULL);
}

static void look(void)
{
    struct file_job *done = job;
    assert_non_null(done);
    job = NULL;
    reply = NULL;
    done->work(done);
    done->done(done);
    if (reply) /* what it has found is told */
        reply(asker, NULL, NULL);
}

static void is(const char *folder, bool known, bool marked)
{
    bool knows = !known, answer = recorder_disk_is_marked(disk, str_of(folder), &knows);
    assert_int_equal(knows, known);
    if (known)
        assert_int_equal(answer, marked);
}

/* Whether a folder is the disk, or where that is to be mounted, is known once it was looked at. */
static void test_not_before_a_look(void **unused)
{
    (void)unused;
    is(one, false, false);
    hear(one, "20250101_000000"); /* which is not there */
    is(one, false, false);
    is(other, true, false); /* nothing is recorded there: as it was said */
    look();
    is(one, true, true);
    hear(one, "20250101_000000");
    is(one, true, true); /* as it was found last */
    look();
    hear(other, "");
    is(other, false, false);
    look();
    is(other, true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_not_before_a_look, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
