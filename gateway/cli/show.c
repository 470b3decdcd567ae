#include "gateway/cli/show.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cli/term.h"
#include "proto/messages.h"

#define VALUE_COLUMNS 4000

const char *show_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "-";
}

long long show_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

void show_field(const char *label, const char *value)
{
    size_t size = strlen(value) + 8;
    char *clean = malloc(size);

    if (clean != NULL && value[0] != '\0') {
        term_fit(value, VALUE_COLUMNS, clean, size);
        printf("%-14s %s\n", label, clean);
    }
    free(clean);
}

void show_fieldf(const char *label, const char *format, ...)
{
    char text[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    show_field(label, text);
}

void show_member(const char *label, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (value == NULL || json_is_null(value) ||
        ((json_is_array(value) || json_is_object(value)) && json_object_size(value) + json_array_size(value) == 0)) {
        return;
    }
    if (json_is_string(value)) {
        show_field(label, json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    if (text != NULL) {
        show_field(label, text);
    }
    free(text);
}

void show_member_time(const char *label, const json_t *object, const char *name)
{
    const char *iso = json_string_value(json_object_get(object, name));
    char text[64];

    if (iso != NULL) {
        show_field(label, term_time(iso, text, sizeof text));
    }
}

void show_cell(struct table *table, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_string(value)) {
        table_add(table, json_string_value(value));
    } else if (json_is_integer(value)) {
        table_addf(table, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        table_addf(table, "%.1f", json_real_value(value));
    } else {
        table_add(table, NULL);
    }
}

void show_cell_time(struct table *table, const json_t *object, const char *name)
{
    char text[64];

    table_add(table, term_time(json_string_value(json_object_get(object, name)), text, sizeof text));
}

/* jansson escapes what is below a blank, and hands over whole characters; DEL and U+0080 to U+009F can only be in texts. */
static int dump_write(const char *bytes, size_t len, void *arg)
{
    FILE *out = arg;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        bool high = c == 0xc2 && i + 1 < len && (unsigned char)bytes[i + 1] < 0xa0;
        int rc = c == 0x7f || high ? fprintf(out, "\\u%04x", high ? (unsigned char)bytes[++i] : c) : putc(c, out);
        if (rc < 0) {
            return -1;
        }
    }
    return 0;
}

int show_dump(const json_t *value, size_t flags, FILE *out)
{
    return json_dump_callback(value, dump_write, out, flags) == 0 && putc('\n', out) != EOF ? 0 : -1;
}

int show_json(const json_t *data)
{
    show_dump(data, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15), stdout);
    return EXIT_FINE;
}

int show_table(struct table *table, const json_t *page)
{
    size_t shown = json_array_size(json_object_get(page, "items"));
    long long total = show_number(page, "total");
    int rc = table != NULL ? table_print(table, term_columns(stdout), stdout) : -1;

    table_free(table);
    if (rc != 0) {
        return show_error(&(struct err){.text = "out of memory"});
    }
    if (total > (long long)shown && term_columns(stdout) > 0) {
        printf("(%zu of %s%lld; --page and --size show others)\n", shown,
               json_is_true(json_object_get(page, "total_is_lower_bound")) ? "over " : "", total);
    }
    return EXIT_FINE;
}

int show_error(const struct err *err)
{
    term_line(stderr, false, "gantry: %s", err->text);
    return EXIT_TROUBLE;
}

int show_usage(const struct err *err)
{
    show_error(err);
    return EXIT_USAGE;
}

static bool lost;

void show_lost(int number)
{
    if (!lost) {
        fprintf(stderr, "gantry: stdout: %s\n", number != 0 ? strerror(number) : "some of it could not be written");
    }
    lost = true;
}

int show_end(int code)
{
    int number = fflush(stdout) != 0 ? errno : 0;

    if (code != EXIT_FINE) {
        return code;
    }
    if (number != 0 || ferror(stdout)) {
        show_lost(number);
    }
    return lost ? EXIT_TROUBLE : EXIT_FINE;
}
