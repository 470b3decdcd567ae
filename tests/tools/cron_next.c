/* Prints due times for an oracle to check: reads lines `schedule|zone|after_ms|count`, answers each with one line of numbers (ms).
 * A schedule that is refused answers `error: text`. Ends in 0 when there is no further due time. */
#include <stdio.h>
#include <stdlib.h>

#include "scheduler/cron.h"

static void answer(char *line)
{
    char *parts[4] = {line, NULL, NULL, NULL};
    struct err err = {0};

    for (int i = 1; i < 4; i++) {
        char *bar = strchr(parts[i - 1], '|');
        if (bar == NULL) {
            printf("error: expected schedule|zone|after_ms|count\n");
            return;
        }
        *bar = '\0';
        parts[i] = bar + 1;
    }
    struct cron *cron = cron_parse(str_of(parts[0]), str_of(parts[1]), 1, &err);
    if (cron == NULL) {
        printf("error: %s\n", err.text);
        return;
    }
    uint64_t anchor = strtoull(parts[2], NULL, 10), at = anchor;
    for (long left = strtol(parts[3], NULL, 10); left > 0; left--) {
        at = cron_next(cron, at, anchor);
        printf("%llu ", (unsigned long long)at);
        if (at == 0) {
            break;
        }
    }
    printf("\n");
    cron_free(cron);
}

int main(void)
{
    char line[1024];

    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(line);
        fflush(stdout);
    }
    return 0;
}
