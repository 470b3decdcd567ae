/* docs/gantry.1, made from the table of commands. */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "proto/settings_table.h"

/* Text with what means something to troff escaped. */
static void roff(const char *text)
{
    if (*text == '.' || *text == '\'') {
        fputs("\\&", stdout);
    }
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            fputs("\\e", stdout);
        } else if (*text == '-') {
            fputs("\\-", stdout);
        } else {
            putchar(*text);
        }
    }
}

static void option_item(const struct option *option)
{
    fputs(".TP\n\\fB", stdout);
    if (option->letter != 0) {
        printf("\\-%c\\fR, \\fB", option->letter);
    }
    fputs("\\-\\-", stdout);
    roff(option->name);
    fputs("\\fR", stdout);
    if (option->value != NULL) {
        fputs(" \\fI", stdout);
        roff(option->value);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    roff(option->doc);
    if (option->words != NULL) {
        printf(" (%s)", option->words);
    }
    putchar('\n');
}

static void command_section(const struct command *command)
{
    fputs(".SS \"gantry ", stdout);
    roff(command->name);
    if (command->options[0].name != NULL) {
        fputs(" [OPTIONS]", stdout);
    }
    if (command->arguments[0] != '\0') {
        putchar(' ');
        roff(command->arguments);
    }
    fputs("\"\n", stdout);
    roff(command->doc);
    fputs(".\n", stdout);
    if (command->details != NULL) {
        fputs(".PP\n", stdout);
        roff(command->details);
        putchar('\n');
    }
    for (const struct option *option = command->options; option->name != NULL; option++) {
        option_item(option);
    }
}

static void settings_section(void)
{
    char range[128];
    char flag[SETTING_NAME_SIZE];

    fputs(".SH SETTINGS\nEvery command takes settings as flags; those of \\fBgantry up\\fR go to all its processes. "
          "A value comes from, each over the one before: its default, the settings file, the environment\n"
          "(\\fBGANTRY_LEASE_SECONDS\\fR), a flag (\\fB\\-\\-lease\\-seconds\\fR).\n",
          stdout);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        fputs(".TP\n\\fB", stdout);
        roff(setting_spell(setting, SPELT_FLAG, flag));
        fputs("\\fR\n", stdout);
        roff(setting->doc);
        fputs(" [", stdout);
        roff(setting_range(setting, range, sizeof range));
        fputs("; default ", stdout);
        roff(setting->initial[0] != '\0' ? setting->initial : "empty");
        fputs("]\n", stdout);
    }
}

int man_command(struct cli *cli)
{
    (void)cli;
    fputs(".\\\" Made from the table of commands by `gantry man`; do not edit.\n"
          ".TH GANTRY 1 \"\" \"gantry " GANTRY_VERSION "\" \"Gantry\"\n"
          ".SH NAME\ngantry \\- a self\\-hosted job farm: start it, give it work, watch it\n"
          ".SH SYNOPSIS\n\\fBgantry\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] …\n"
          ".SH DESCRIPTION\nGantry accepts work, decides where it runs, and never loses it. \\fBgantry up\\fR starts a farm on "
          "this machine;\n"
          "the other commands talk to it over HTTP.\n"
          ".SH COMMANDS\n",
          stdout);
    for (const struct command *command = commands; command->name != NULL; command++) {
        command_section(command);
    }
    fputs(".SH COMMON OPTIONS\n", stdout);
    for (const struct option *option = common_options; option->name != NULL; option++) {
        option_item(option);
    }
    settings_section();
    fputs(
        ".SH ENVIRONMENT\n"
        ".TP\n\\fBGANTRY_URL\\fR\nThe farm's address, as \\-\\-url.\n"
        ".TP\n\\fBGANTRY_KEY\\fR\nThe key sent with each request, for a farm that asks for one.\n"
        ".TP\n\\fBGANTRY_KEY_FILE\\fR\nA file whose first line is that key, as \\-\\-key\\-file. Not everybody may be able to "
        "read it.\n"
        ".TP\n\\fBGANTRY_CA\\fR\nA file of the certificates that a farm behind https:// is known by, as \\-\\-ca; those of the "
        "system if not given.\n"
        ".TP\n\\fBNO_COLOR\\fR\nWhen set, nothing is coloured.\n"
        ".SH EXIT STATUS\n"
        "0 when all went well, 1 when the farm or the work had trouble, 2 when the command line is wrong, and of a command that "
        "waits 130 after Ctrl\\-C, 143 after SIGTERM, 141 when nobody reads its output any more.\n"
        "\\fBgantry run \\-\\-wait\\fR and \\fBgantry task trigger \\-\\-wait\\fR exit with the code of the run: 128 + signal "
        "if one killed it.\n"
        ".SH EXAMPLES\n"
        ".nf\ngantry up \\-\\-data ~/farm\n"
        "gantry run \\-\\-wait \\-\\- ffmpeg \\-y \\-i in.mp4 \\-c:v libx264 out.mp4\n"
        "gantry task create nightly \\-\\-schedule '0 2 * * *' \\-\\-shell './backup.sh'\n"
        "gantry logs \\-f 12\n"
        "gantry task apply \\-f tasks.yaml\n"
        "gantry status \\-\\-url https://farm.example:8080 \\-\\-ca ca.pem \\-\\-key\\-file ~/.config/gantry.key\n.fi\n"
        ".PP\nA tasks.yaml:\n.PP\n.nf\n"
        "name: nightly\n"
        "task_type: shell\n"
        "executor: shell\n"
        "command: ./backup.sh $1\n"
        "arguments: [8080]        # text, as the API takes text here\n"
        "schedule: 0 2 * * *\n"
        "metadata: {timezone: Europe/Berlin}\n"
        "\\-\\-\\-\n"
        "name: report\n"
        "task_type: python\n"
        "executor: python\n"
        "command: report.py\n"
        "dependencies: [nightly]  # runs whenever nightly has\n.fi\n",
        stdout);
    return EXIT_FINE;
}
