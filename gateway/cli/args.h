/* Arguments of one command, read against its row of the table. */
#ifndef GANTRY_CLI_ARGS_H
#define GANTRY_CLI_ARGS_H

#include "gateway/cli/cli.h"

struct args;

/* Reads what follows the command's name. Flags that are neither the command's nor common ones may be settings
 * (--lease-seconds 5). argv is borrowed. NULL with err (a sentence that names the argument) when something does not fit. */
struct args *args_new(const struct command *command, int argc, char *const *argv, struct err *err);
void args_free(struct args *args); /* takes NULL */

bool args_has(const struct args *args, const char *option);
const char *args_text(const struct args *args, const char *option); /* the last one given, or NULL */
/* The values of an option that may be repeated, in order; *at starts at 0; NULL when there are no more. */
const char *args_each(const struct args *args, const char *option, size_t *at);
/* A whole number in low..high; fallback when the option was not given; -1 with err when it is none. */
int args_number(const struct args *args, const char *option, long long low, long long high, long long fallback, long long *out,
                struct err *err);

/* A length of time: a number with s, m, h, d or w behind it. False: it is none, or longer than most_ms. */
bool args_span(const char *text, uint64_t most_ms, uint64_t *ms);

int args_count(const struct args *args);
const char *args_at(const struct args *args, int index); /* NULL beyond the end */

/* An argument that is a run's id; -1 with err when it is none. */
int args_run(const struct args *args, int index, long long *id, struct err *err);

/* The settings among the flags as an argument vector without a program's name; NULL-terminated. */
char *const *args_settings(const struct args *args, int *count);

/* True when word is one of those in "low|normal|high". */
bool args_word_in(const char *words, const char *word);

#endif
