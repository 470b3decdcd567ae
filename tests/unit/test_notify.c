#include "tests/unit/unit.h"

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/notify.h"

static char folder[UNIT_FOLDER_SIZE];
static int listener = -1;

/* A manager's socket: a path, or with a leading '@' an abstract name. */
static void listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);

    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
    setenv("NOTIFY_SOCKET", name, 1);
}

/* At an abstract name of this process alone: such names are the machine's, and another build's test may run beside this one. */
static const char *listen_here(const char *what)
{
    static char name[64];

    snprintf(name, sizeof name, "@gantry-test-notify-%d-%s", (int)getpid(), what);
    listen_at(name);
    return name;
}

static const char *heard(void)
{
    static char text[512];
    ssize_t len = recv(listener, text, sizeof text - 1, 0);

    text[len > 0 ? len : 0] = '\0';
    return text;
}

static int set_up(void **state)
{
    (void)state;
    unit_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    notify_close();
    if (listener >= 0)
        close(listener);
    listener = -1;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    unit_remove(folder);
    return 0;
}

static void a_life(void)
{
    notify_open();
    notify_status("waiting");
    assert_string_equal(heard(), "STATUS=waiting");
    notify_reloading(); /* before it is ready there is nothing to begin anew */
    notify_reloaded();
    assert_string_equal(heard(), "");
    notify_ready("working");
    assert_string_equal(heard(), "READY=1\nSTATUS=working");
    notify_reloading();
    assert_memory_equal(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27);
    notify_reloaded();
    assert_string_equal(heard(), "READY=1");
    notify_alive();
    assert_string_equal(heard(), "WATCHDOG=1");
    notify_stopping();
    assert_string_equal(heard(), "STOPPING=1\nSTATUS=stopping");
    notify_ready("working");
    notify_reloading();
    notify_reloaded();
    assert_string_equal(heard(), "");
}

static void test_path(void **state)
{
    char path[160];
    (void)state;

    snprintf(path, sizeof path, "%s/notify", folder);
    listen_at(path);
    a_life();
}

static void test_abstract(void **state)
{
    (void)state;
    listen_here("life");
    a_life();
}

static void test_environment_is_taken(void **state)
{
    (void)state;
    listen_here("taken");
    setenv("WATCHDOG_USEC", "3000000", 1);
    notify_open();
    assert_int_equal(notify_alive_ms(), 1500);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    notify_open(); /* without it: nobody listens */
    assert_int_equal(notify_alive_ms(), 0);
    notify_ready("working");
    assert_string_equal(heard(), "");
}

static void test_watchdog_of_another(void **state)
{
    char pid[24];
    (void)state;

    const char *name = listen_here("watchdog");
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    notify_open();
    assert_int_equal(notify_alive_ms(), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "1", 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    notify_open();
    assert_int_equal(notify_alive_ms(), 1);
}

static void test_names_that_are_none(void **state)
{
    char longest[200];
    const char *const names[] = {"", "@", "/", "relative", "vsock:2:1234", longest};
    (void)state;

    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        setenv("WATCHDOG_USEC", "3000000", 1);
        notify_open();
        assert_int_equal(notify_alive_ms(), 0);
        notify_ready("told to nobody");
        notify_stopping();
    }
}

static void test_a_manager_that_does_not_listen(void **state)
{
    (void)state;
    listen_here("full");
    notify_open();
    for (int i = 0; i < 10000; i++) /* it never blocks */
        notify_alive();
    notify_ready("lost after a while");
    int heard_ready = 0;
    for (const char *words = heard(); words[0]; words = heard())
        heard_ready += strncmp(words, "READY", 5) == 0;
    assert_int_equal(heard_ready, 0);
    notify_ready("heard again");
    assert_string_equal(heard(), "READY=1\nSTATUS=heard again");
    close(listener);
    listener = -1;
    notify_alive();
}

/* A manager that is behind gets on just when it is waited for: in proto/notify.c this stands in for poll (tests/proto.cmake). */
static bool behind;
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (behind)
        assert_string_equal(heard(), "WATCHDOG=1");
    behind = false;
    return __real_poll(fds, count, timeout);
}

static void test_a_manager_that_is_behind_hears_of_ready(void **state)
{
    const char *words;
    (void)state;

    listen_here("behind");
    notify_open();
    for (int i = 0; i < 10000; i++)
        notify_alive();
    behind = true;
    notify_ready("working");
    assert_false(behind); /* it was waited for */
    do
        words = heard();
    while (strcmp(words, "WATCHDOG=1") == 0);
    assert_string_equal(words, "READY=1\nSTATUS=working");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abstract, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_environment_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_watchdog_of_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_manager_that_does_not_listen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_manager_that_is_behind_hears_of_ready, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
