#include "gateway/cli/args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/messages.h"

struct value {
    const struct option *option;
    const char *text; /* "" for a switch */
};

struct args {
    const struct command *command;
    struct value *values;
    size_t value_count;
    const char **words; /* what is no option */
    int word_count;
    char **settings;
    int setting_count;
};

bool args_word_in(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = words; *at != '\0';) {
        size_t span = strcspn(at, "|");
        if (span == len && memcmp(at, word, len) == 0) {
            return true;
        }
        at += span;
        at += *at == '|';
    }
    return false;
}

static const struct option *option_in(const struct option *table, const char *name, size_t len, char letter)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (letter != 0 ? table->letter == letter : strlen(table->name) == len && memcmp(table->name, name, len) == 0) {
            return table;
        }
    }
    return NULL;
}

static const struct option *option_find(const struct command *command, const char *name, size_t len, char letter)
{
    const struct option *option = option_in(command->options, name, len, letter);

    return option != NULL ? option : option_in(common_options, name, len, letter);
}

static int value_keep(struct args *args, const struct option *option, const char *text, struct err *err)
{
    if (option->words != NULL && !args_word_in(option->words, text)) {
        return err_set(err, ERR_BAD_REQUEST, "--%s is one of %s, not \"%s\"", option->name, option->words, text);
    }
    args->values[args->value_count++] = (struct value){option, text};
    return 0;
}

/* A setting's flag goes on as it is. */
static int setting_take(struct args *args, int span, int argc, char *const *argv, int *at, struct err *err)
{
    if (span == 0) {
        return err_set(err, ERR_BAD_REQUEST, "there is no option %.*s (gantry %s --help lists them)",
                       (int)strcspn(argv[*at], "="), argv[*at], args->command->name);
    }
    if (*at + span > argc) {
        return err_set(err, ERR_BAD_REQUEST, "%s needs a value", argv[*at]);
    }
    args->settings[args->setting_count++] = argv[*at];
    if (span == 2) {
        args->settings[args->setting_count++] = argv[++*at];
    }
    return 0;
}

static int long_take(struct args *args, int argc, char *const *argv, int *at, struct err *err)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct option *option = option_find(args->command, name, len, 0);

    if (option == NULL) {
        return setting_take(args, settings_flag_span(argv[*at]), argc, argv, at, err);
    }
    if (option->value == NULL) {
        return equals == NULL ? value_keep(args, option, "", err)
                              : err_set(err, ERR_BAD_REQUEST, "--%s takes no value", option->name);
    }
    if (equals != NULL) {
        return value_keep(args, option, equals + 1, err);
    }
    if (*at + 1 >= argc) {
        return err_set(err, ERR_BAD_REQUEST, "--%s needs a value: %s", option->name, option->doc);
    }
    return value_keep(args, option, argv[++*at], err);
}

/* -w, -wf, -n 5 and -n5. */
static int letters_take(struct args *args, int argc, char *const *argv, int *at, struct err *err)
{
    for (const char *letter = argv[*at] + 1; *letter != '\0'; letter++) {
        const struct option *option = option_find(args->command, NULL, 0, *letter);
        if (option == NULL) {
            return err_set(err, ERR_BAD_REQUEST, "there is no option -%c (gantry %s --help lists them)", *letter,
                           args->command->name);
        }
        if (option->value == NULL) {
            if (value_keep(args, option, "", err) != 0) {
                return -1;
            }
            continue;
        }
        if (letter[1] != '\0') {
            return value_keep(args, option, letter + 1, err);
        }
        if (*at + 1 >= argc) {
            return err_set(err, ERR_BAD_REQUEST, "-%c needs a value: %s", *letter, option->doc);
        }
        return value_keep(args, option, argv[++*at], err);
    }
    return 0;
}

static int args_read(struct args *args, int argc, char *const *argv, struct err *err)
{
    bool options = true;

    for (int i = 0; i < argc; i++) {
        int rc = 0;
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strncmp(argv[i], "--", 2) == 0) {
            rc = long_take(args, argc, argv, &i, err);
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            rc = letters_take(args, argc, argv, &i, err);
        } else {
            args->words[args->word_count++] = argv[i];
            options = options && !args->command->program;
        }
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

static int args_check(const struct args *args, struct err *err)
{
    const struct command *command = args->command;

    if (args_has(args, "help")) {
        return 0;
    }
    if (args->word_count < command->low) {
        return err_set(err, ERR_BAD_REQUEST, "gantry %s needs %s", command->name, command->arguments);
    }
    if (command->high >= 0 && args->word_count > command->high) {
        return err_set(err, ERR_BAD_REQUEST, "gantry %s takes no further argument: \"%s\"", command->name,
                       args->words[command->high]);
    }
    return 0;
}

struct args *args_new(const struct command *command, int argc, char *const *argv, struct err *err)
{
    struct args *args = calloc(1, sizeof *args);
    size_t most = (size_t)argc + 1;
    size_t letters = most;

    for (int i = 0; i < argc; i++) {
        letters += strlen(argv[i]); /* "-wf" is more than one option */
    }
    if (args != NULL) {
        args->command = command;
        args->values = calloc(letters, sizeof *args->values);
        args->words = calloc(most, sizeof *args->words);
        args->settings = calloc(most, sizeof *args->settings);
    }
    if (args == NULL || args->values == NULL || args->words == NULL || args->settings == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        goto error;
    }
    if (args_read(args, argc, argv, err) != 0 || args_check(args, err) != 0) {
        goto error;
    }
    return args;
error:
    args_free(args);
    return NULL;
}

void args_free(struct args *args)
{
    if (args == NULL) {
        return;
    }
    free(args->settings);
    free(args->values);
    free(args->words);
    free(args);
}

bool args_has(const struct args *args, const char *option)
{
    return args_text(args, option) != NULL;
}

const char *args_text(const struct args *args, const char *option)
{
    for (size_t i = args->value_count; i > 0; i--) {
        if (strcmp(args->values[i - 1].option->name, option) == 0) {
            return args->values[i - 1].text;
        }
    }
    return NULL;
}

const char *args_each(const struct args *args, const char *option, size_t *at)
{
    while (*at < args->value_count) {
        const struct value *value = &args->values[(*at)++];
        if (strcmp(value->option->name, option) == 0) {
            return value->text;
        }
    }
    return NULL;
}

int args_number(const struct args *args, const char *option, long long low, long long high, long long fallback, long long *out,
                struct err *err)
{
    const char *text = args_text(args, option);
    char *end;

    *out = fallback;
    if (text == NULL) {
        return 0;
    }
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *out < low || *out > high) {
        return err_set(err, ERR_BAD_REQUEST, "--%s is a whole number from %lld to %lld, not \"%s\"", option, low, high, text);
    }
    return 0;
}

bool args_span(const char *text, uint64_t most_ms, uint64_t *ms)
{
    static const struct {
        char letter;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    uint64_t number = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (end[0] == units[i].letter && end[1] == '\0' && number <= most_ms / units[i].ms) {
            *ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

int args_count(const struct args *args)
{
    return args->word_count;
}

const char *args_at(const struct args *args, int index)
{
    return index >= 0 && index < args->word_count ? args->words[index] : NULL;
}

int args_run(const struct args *args, int index, long long *id, struct err *err)
{
    const char *word = args_at(args, index);
    char *end;

    errno = 0;
    *id = strtoll(word, &end, 10);
    if (errno != 0 || *end != '\0' || *id <= 0) {
        return err_set(err, ERR_BAD_REQUEST, "a run's id is a number, not \"%s\"", word);
    }
    return 0;
}

char *const *args_settings(const struct args *args, int *count)
{
    *count = args->setting_count;
    return args->settings;
}
