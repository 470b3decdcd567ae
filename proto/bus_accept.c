/* Accepting at the descriptor limit, for the bus.
 *
 * libzmq's I/O thread asserts on an ipc listener's EMFILE, which ends the process; on a tcp listener it asks again for ever, as the
 * connection stays in the queue. So its accept4 is this one: a descriptor is kept in reserve, and at the limit it is given up for as long
 * as it takes to accept the connection and close it. The peer finds itself cut off and comes again after a while.
 *
 * The main thread's accepts (libmicrohttpd's, which stops listening at the limit) are left as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/bus_socket.h"
#include "proto/clock.h"
#include "proto/log.h"

#define COMPLAIN_MS 10000
#define NO_RESERVE_NS 5000000L /* what is done instead when even the reserve is gone: the thread must not spin */

static atomic_int reserve = -1;
static _Atomic uint64_t complained_ms;

static void reserve_keep(void)
{
    int none = -1, fd = atomic_load(&reserve) < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0 && !atomic_compare_exchange_strong(&reserve, &none, fd)) {
        close(fd);
    }
}

void bus_accept_begin(void)
{
    reserve_keep();
}

void bus_accept_end(void)
{
    int fd = atomic_exchange(&reserve, -1);

    if (fd >= 0) {
        close(fd);
    }
}

static void complain(void)
{
    uint64_t now = clock_mono_ms(), last = atomic_load(&complained_ms);

    if ((last == 0 || now - last >= COMPLAIN_MS) && atomic_compare_exchange_strong(&complained_ms, &last, now)) {
        log_warn("GTY-DESCRIPTORS", "no descriptor is left: new connections of the bus are closed (limit on open files)");
    }
}

static void turn_away(int listener)
{
    int fd = atomic_exchange(&reserve, -1);

    complain();
    if (fd < 0) {
        nanosleep(&(struct timespec){.tv_nsec = NO_RESERVE_NS}, NULL);
        return;
    }
    close(fd);
    fd = (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    reserve_keep();
}

/* Stands in for libc's, as what a program itself defines does. */
int accept4(int listener, struct sockaddr *address, socklen_t *len, int flags)
{
    int fd = (int)syscall(SYS_accept4, listener, address, len, flags);

    if (gettid() == getpid()) {
        return fd;
    }
    if (fd >= 0) {
        reserve_keep();
    } else if (errno == EMFILE || errno == ENFILE) {
        turn_away(listener);
        errno = EAGAIN;
    }
    return fd;
}
