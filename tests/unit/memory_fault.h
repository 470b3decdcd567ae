/* Memory that runs out when told to: one test program includes this, linked by gantry_memory_test. What libraries allocate for
 * themselves is theirs; tests/fault/shim.c reaches that too. */
#ifndef GANTRY_TESTS_MEMORY_FAULT_H
#define GANTRY_TESTS_MEMORY_FAULT_H

#include "unit.h"

#include <errno.h>
#include <stdbool.h>

static bool memory_watched = true; /* what is tested is at work, not the test itself */
static uint64_t memory_countdown;  /* that allocation fails from now; 0: none */
static uint64_t memory_refused;    /* allocations that failed */

static bool memory_fails(void)
{
    if (!memory_watched || !memory_countdown || --memory_countdown)
        return false;
    memory_refused++;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

void *__wrap_malloc(size_t size)
{
    return memory_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return memory_fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return memory_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
    return memory_fails() ? NULL : __real_strndup(text, len);
}

/* Repeats a step with its first allocation failing, then its second, until none fails any more. The step itself says what may come of
 * it: memory_short() is true once its allocation has failed. */
static uint64_t memory_before;

static inline bool memory_short(void)
{
    return memory_refused > memory_before;
}

static inline void memory_hard(void (*step)(void))
{
    for (uint64_t n = 1;; n++) {
        memory_before = memory_refused;
        memory_countdown = n;
        step();
        memory_countdown = 0;
        if (!memory_short())
            return;
        assert_true(n < 20000);
    }
}

#endif
