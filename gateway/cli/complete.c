/* docs/gantry.bash: completion for bash, made from the table of commands. */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "proto/settings_table.h"

static void words_print(const char *words)
{
    for (; *words != '\0'; words++) {
        putchar(*words == '|' ? ' ' : *words);
    }
}

/* The first words of commands, or the second ones of a group. */
static void names_print(const char *group)
{
    char before[64] = "";
    size_t len = group != NULL ? strlen(group) : 0;

    for (const struct command *command = commands; command->name != NULL; command++) {
        const char *name = command->name;
        if (group != NULL) {
            if (strncmp(name, group, len) != 0 || name[len] != ' ') {
                continue;
            }
            name += len + 1;
        }
        int first = (int)strcspn(name, " ");
        if ((int)strlen(before) == first && strncmp(before, name, (size_t)first) == 0) {
            continue;
        }
        printf("%s%.*s", before[0] != '\0' ? " " : "", first, name);
        snprintf(before, sizeof before, "%.*s", first, name);
    }
}

static void options_print(const struct option *options)
{
    for (const struct option *option = options; option->name != NULL; option++) {
        printf("--%s ", option->name);
    }
}

static void settings_print(void)
{
    char flag[SETTING_NAME_SIZE];

    for (size_t i = 0; i < settings_count; i++) {
        printf("%s ", setting_spell(&settings_table[i], SPELT_FLAG, flag));
    }
}

static bool option_takes_file(const struct option *option)
{
    return option->value != NULL && (strcmp(option->value, "FILE") == 0 || strcmp(option->value, "DIR") == 0);
}

/* What may follow an option that takes a value. */
static void values_print(const struct command *command)
{
    for (const struct option *option = command->options; option->name != NULL; option++) {
        if (option->value == NULL) {
            continue;
        }
        printf("        '%s:--%s'", command->name, option->name);
        if (option->letter != 0) {
            printf(" | '%s:-%c'", command->name, option->letter);
        }
        if (option->words != NULL) {
            fputs(") words='", stdout);
            words_print(option->words);
            fputs("' ;;\n", stdout);
        } else {
            printf(") %s ;;\n", option_takes_file(option) ? "files=1" : "return");
        }
    }
}

int complete_command(struct cli *cli)
{
    (void)cli;
    fputs("# Completion of gantry for bash, made from the table of commands by `gantry completion`; do not edit.\n"
          "_gantry() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words= files= i\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    names_print(NULL);
    fputs("' -- \"$word\"))\n        return\n    fi\n", stdout);
    for (const char *const *group = commands_groups; *group != NULL; group++) {
        printf("    if [ \"$command\" = %s ]; then\n"
               "        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
               "            COMPREPLY=($(compgen -W '",
               *group);
        names_print(*group);
        fputs("' -- \"$word\"))\n            return\n        fi\n        command=\"$command ${COMP_WORDS[2]}\"\n    fi\n",
              stdout);
    }
    fputs("    # behind -- stands a program of its own\n"
          "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
          "        if [ \"${COMP_WORDS[i]}\" = -- ]; then\n"
          "            if [ $((i + 1)) -eq \"$COMP_CWORD\" ]; then COMPREPLY=($(compgen -c -- \"$word\")); else "
          "COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
          "            return\n"
          "        fi\n"
          "    done\n"
          "    case \"$command:$before\" in\n",
          stdout);
    for (const struct command *command = commands; command->name != NULL; command++) {
        values_print(command);
    }
    fputs("    esac\n"
          "    if [ -n \"$files\" ]; then\n"
          "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "        return\n"
          "    fi\n"
          "    if [ -z \"$words\" ]; then\n"
          "        case \"$command\" in\n",
          stdout);
    for (const struct command *command = commands; command->name != NULL; command++) {
        printf("        '%s') words='", command->name);
        options_print(command->options);
        options_print(common_options);
        if (command->run == up_command) {
            settings_print();
        } else if (command->run == help_command) {
            names_print(NULL);
        } else {
            fputs("--url --key-file --ca --data", stdout);
        }
        fputs("' ;;\n", stdout);
    }
    fputs("        esac\n"
          "    fi\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "}\n"
          "complete -o filenames -F _gantry gantry\n",
          stdout);
    return EXIT_FINE;
}
