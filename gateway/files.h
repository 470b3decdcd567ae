/* Slow work with files, in the one helper thread beside the loop: making them durable, reading them whole, removing what was left behind.
 *
 * A job belongs to the thread from files_do until its `done` is called, on the loop. Jobs are done one after the other, and one of a disk that
 * does not answer (NFS whose server is gone) holds all behind it: those that can be refused have a time until which they wait.
 */
#ifndef GANTRY_GATEWAY_FILES_H
#define GANTRY_GATEWAY_FILES_H

#include "proto/loop.h"
#include "proto/str.h"

struct files;

struct file_job {
    void (*work)(struct file_job *job); /* in the thread: touches nothing but the job */
    void (*done)(struct file_job *job); /* on the loop */
    void (*late)(
        struct file_job *job); /* on the loop, in place of both: its turn did not come in time. NULL: it waits however long */
    uint64_t until_ms;         /* mono; where there is `late` */
    struct file_job *next;
};

/* Starts the thread; loop is borrowed. NULL with err. */
struct files *files_new(struct loop *loop, struct err *err);
void files_free(struct files *files); /* does what is queued first, and calls its done; takes NULL */
void files_do(struct files *files, struct file_job *job);

#endif
