/* The table of settings for people: values in force, --help, docs/settings.md. */
#include <inttypes.h>

#include "proto/settings_table.h"
#include "proto/settings_values.h"

static void print_quoted(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* A settings file with every value in force; what no file may set is a comment. */
void settings_explain(const struct settings *settings, FILE *out)
{
    char range[128], variable[SETTING_NAME_SIZE], flag[SETTING_NAME_SIZE];
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        setting_spell(row, SPELT_VARIABLE, variable);
        fprintf(out, "%s# %s\n", i > 0 ? "\n" : "", row->doc);
        fprintf(out, "# %s; default \"%s\"; read by: %s; %s; %s%s%s\n", setting_range(row, range, sizeof(range)), row->initial,
                row->who, row->reload ? "reloaded at SIGHUP" : "read at start", variable, variable[0] ? ", " : "",
                setting_spell(row, SPELT_FLAG, flag));
        fprintf(out, "# from: %s\n", settings_source(settings, (enum setting_id)i));
        fprintf(out, "%s%s = ", i == SET_CONFIG || i == SET_DATA ? "# " : "", row->name);
        if (row->kind == SETTING_TEXT)
            print_quoted(settings->values[i].text, out);
        else
            fputs(settings->values[i].text, out);
        fputc('\n', out);
    }
}

static bool read_by(const struct setting *row, const char *who)
{
    size_t len = strlen(who);
    if (len == 0 || strcmp(row->who, "all") == 0)
        return true;
    for (const char *at = row->who; (at = strstr(at, who)) != NULL; at += len)
        if ((at == row->who || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

void settings_usage(const char *who, FILE *out)
{
    char range[128], flag[SETTING_NAME_SIZE];
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (!read_by(row, who))
            continue;
        fprintf(out, "  %-26s %s [%s; default %s]\n", setting_spell(row, SPELT_FLAG, flag), row->doc,
                setting_range(row, range, sizeof(range)), row->initial[0] ? row->initial : "empty");
    }
    fprintf(out, "  %-26s any setting by its name in settings files\n", "--set NAME=VALUE");
}

/* A table cell: | would end it, and <data> would be taken for HTML. */
static void print_cell(const char *text, FILE *out)
{
    for (; *text; text++)
        fputs(*text == '|' ? "\\|" : *text == '<' ? "&lt;" : (char[]){*text, '\0'}, out);
}

void settings_markdown(FILE *out)
{
    char range[128], variable[SETTING_NAME_SIZE];
    fputs("# Settings\n\n"
          "Made from `proto/settings.def` by `gantry config --markdown`; do not edit.\n\n"
          "A value comes from, each over the one before: its default, the settings file, the environment, a flag.\n"
          "The settings file is the one that `--config` or `GANTRY_CONFIG` names, or else `gantry.conf` in the data folder if it "
          "is\n"
          "there: lines of `name = value`, comments from `#`, values in double quotes where spaces or `#` matter.\n"
          "The flag of `lease.seconds` is `--lease-seconds`. Unknown names and values out of range are refused, with file and "
          "line.\n"
          "`SIGHUP` reads file and environment again; if anything in them is wrong, all values stay as they were.\n\n"
          "| name | environment | values | default | reload | read by | |\n"
          "|---|---|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        setting_spell(row, SPELT_VARIABLE, variable);
        fprintf(out, "| `%s` | %s%s%s | ", row->name, variable[0] ? "`" : "", variable[0] ? variable : "–",
                variable[0] ? "`" : "");
        print_cell(setting_range(row, range, sizeof(range)), out);
        fprintf(out, " | %s%s%s | %s | %s | ", row->initial[0] ? "`" : "", row->initial, row->initial[0] ? "`" : "",
                row->reload ? "yes" : "", row->who);
        print_cell(row->doc, out);
        fputs(" |\n", out);
    }
}
