/* The `gantry` command: finds the row of the table, reads its arguments and settings, and calls its handler. */
#include <curl/curl.h>
#include <locale.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cli/address.h"
#include "gateway/cli/args.h"
#include "gateway/cli/client.h"
#include "gateway/cli/help.h"
#include "gateway/cli/secret.h"
#include "gateway/cli/show.h"
#include "proto/log.h"
#include "proto/loop.h"
#include "proto/messages.h"

static int usage(const char *text)
{
    fprintf(stderr, "gantry: %s\n", text);
    return EXIT_USAGE;
}

static int unknown_command(int argc, char *const *argv)
{
    if (argc == 0) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        help_overview(stdout);
        return EXIT_FINE;
    }
    if (strcmp(argv[0], "--version") == 0) {
        puts("gantry " GANTRY_VERSION);
        return EXIT_FINE;
    }
    for (const char *const *group = commands_groups; *group != NULL; group++) {
        if (strcmp(*group, argv[0]) == 0) {
            bool asked = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
            help_group(*group, asked ? stdout : stderr);
            return asked ? EXIT_FINE : EXIT_USAGE;
        }
    }
    fprintf(stderr, "gantry: there is no command %s (gantry --help lists them)\n", argv[0]);
    return EXIT_USAGE;
}

/* The settings among the flags, read as every process reads them. */
static struct settings *settings_of(const struct args *args, const char *program, struct err *err)
{
    int count;
    char *const *flags = args_settings(args, &count);
    char **argv = calloc((size_t)count + 2, sizeof *argv);

    if (argv == NULL) {
        err_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    argv[0] = (char *)(uintptr_t)program;
    memcpy(argv + 1, flags, (size_t)count * sizeof *argv);
    struct settings *settings = settings_load(count + 1, argv, NULL, err);
    free(argv);
    return settings;
}

/* Which certificate a farm behind https:// has to show: what --ca says, or, for the one of this machine, what its settings say. */
static int trust(struct client *client, const struct settings *settings)
{
    const char *ca = settings_text(settings, SET_CLI_CA);

    if (ca[0] != '\0') {
        return client_trust(client, ca);
    }
    return settings_text(settings, SET_CLI_URL)[0] == '\0' ? client_trust_own(client, settings_text(settings, SET_HTTP_TLS_CERT))
                                                           : 0;
}

/* Settings that are wrong are wrong use; that they cannot be read is trouble. */
static int no_settings(const struct command *command, const struct err *err)
{
    if (err->code != ERR_IO && err->code != ERR_NO_MEMORY) {
        return usage(err->text);
    }
    fprintf(stderr, "gantry %s: %s\n", command->name, err->text);
    return EXIT_TROUBLE;
}

static int command_run(const struct command *command, struct cli *cli)
{
    struct err err = {0};
    char url[1200], key[SECRET_SIZE] = "";
    int code = EXIT_USAGE;

    cli->settings = settings_of(cli->args, cli->program, &err);
    if (cli->settings == NULL) {
        return no_settings(command, &err);
    }
    if (command->farm) {
        address_of_farm(cli->settings, url, sizeof url);
        cli->client = secret_find(cli->settings, key, &err) == 0 ? client_new(url, key, &err) : NULL;
        sodium_memzero(key, sizeof key);
        if (cli->client != NULL && trust(cli->client, cli->settings) != 0) {
            err_set(&err, ERR_NO_MEMORY, "out of memory");
            client_free(cli->client);
            cli->client = NULL;
        }
    }
    if (command->farm && cli->client == NULL) {
        usage(err.text);
    } else {
        code = command->run(cli);
    }
    client_free(cli->client);
    settings_free(cli->settings);
    return code;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    int used = 0;
    int code = EXIT_FINE;

    const struct command *command = command_find(argc - 1, argv + 1, &used);
    if (command != NULL && command->run == up_command) {
        loop_hold_signals();
    }
    setlocale(LC_ALL, "");
    if (MB_CUR_MAX == 1) {
        setlocale(LC_CTYPE, "C.UTF-8");
    }
    setlocale(LC_NUMERIC, "C");
    if (command == NULL) {
        return show_end(unknown_command(argc - 1, argv + 1));
    }
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        return usage("cannot initialise its libraries");
    }
    log_init("gantry", LOG_WARN);
    struct args *args = args_new(command, argc - 1 - used, argv + 1 + used, &err);
    if (args == NULL) {
        code = usage(err.text);
    } else if (args_has(args, "help")) {
        help_for(command, stdout);
    } else {
        struct cli cli = {.args = args, .json = args_has(args, "json"), .program = argv[0]};
        code = command_run(command, &cli);
    }
    args_free(args);
    curl_global_cleanup();
    return show_end(code);
}
