#include "gateway/cli/help.h"

#include "gateway/cli/args.h"
#include "gateway/cli/term.h"

#define HELP_WIDTH 100

static void option_line(const struct option *option, FILE *out)
{
    char names[80];
    char letter[5] = "    ";

    if (option->letter != 0) {
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    }
    snprintf(names, sizeof names, "  %s--%s%s%s", letter, option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
    fprintf(out, "%-28s ", names);
    if (strlen(names) > 28) {
        fprintf(out, "\n%29s", "");
    }
    term_wrap(option->doc, 29, HELP_WIDTH, out);
    if (option->words != NULL) {
        fprintf(out, "%29s(%s)\n", "", option->words);
    }
}

void help_for(const struct command *command, FILE *out)
{
    fprintf(out, "Usage: gantry %s%s%s%s\n\n", command->name, command->options[0].name != NULL ? " [OPTIONS]" : "",
            command->arguments[0] != '\0' ? " " : "", command->arguments);
    term_wrap(command->doc, 0, HELP_WIDTH, out);
    if (command->details != NULL) {
        fputc('\n', out);
        term_wrap(command->details, 0, HELP_WIDTH, out);
    }
    fputs("\nOptions:\n", out);
    for (const struct option *option = command->options; option->name != NULL; option++) {
        option_line(option, out);
    }
    for (const struct option *option = common_options; option->name != NULL; option++) {
        option_line(option, out);
    }
    if (command->run == up_command) {
        fputs("\nSettings:\n", out);
        settings_usage("", out);
    } else if (command->farm) {
        fputs("      --url URL              the farm's address (or GANTRY_URL)\n"
              "      --key-file FILE        file of the key that it asks for (or GANTRY_KEY_FILE; GANTRY_KEY holds the key "
              "itself)\n"
              "      --ca FILE              certificates that it is known by behind https:// (or GANTRY_CA)\n",
              out);
    } else {
        fputs("\nEvery setting is a flag too: `gantry config --explain` lists them.\n", out);
    }
}

static void command_line(const struct command *command, FILE *out)
{
    char words[96];

    snprintf(words, sizeof words, "%s %s", command->name, command->arguments);
    fprintf(out, "  %s%*s %s\n", words, 38 - term_width(words), "", command->doc);
}

void help_group(const char *group, FILE *out)
{
    size_t len = strlen(group);

    fprintf(out, "Usage: gantry %s COMMAND [OPTIONS] …\n\n", group);
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strncmp(command->name, group, len) == 0 && command->name[len] == ' ') {
            command_line(command, out);
        }
    }
}

void help_overview(FILE *out)
{
    fputs("gantry: a job farm in one command.\n\nUsage: gantry COMMAND [OPTIONS] …\n\n", out);
    for (const struct command *command = commands; command->name != NULL; command++) {
        command_line(command, out);
    }
    fputs("\n`gantry COMMAND --help` says more. The farm's address is --url, GANTRY_URL, or that of the farm on this machine.\n",
          out);
}

int help_command(struct cli *cli)
{
    char *words[2] = {(char *)(uintptr_t)args_at(cli->args, 0), (char *)(uintptr_t)args_at(cli->args, 1)};
    int count = args_count(cli->args);

    if (count == 0) {
        help_overview(stdout);
        return EXIT_FINE;
    }
    const struct command *command = command_find(count, words, NULL);
    if (command != NULL) {
        help_for(command, stdout);
        return EXIT_FINE;
    }
    for (const char *const *group = commands_groups; *group != NULL; group++) {
        if (strcmp(*group, words[0]) == 0) {
            help_group(*group, stdout);
            return EXIT_FINE;
        }
    }
    fprintf(stderr, "gantry: there is no command %s\n", words[0]);
    return EXIT_USAGE;
}
