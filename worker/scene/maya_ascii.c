#include "worker/scene/maya_ascii.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/messages.h"
#include "worker/scene/maya.h"
#include "worker/scene/maya_words.h"

#define COMMENT_KEPT 256
#define WORD_MAX 16 /* characters that tell which command a statement is */

enum state {
    BETWEEN,
    SLASH,
    COMMENT,
    LONG_COMMENT,
    STATEMENT,
    PASSED
}; /* PASSED: what is left of a statement that is too long */

struct reading {
    struct maya maya;
    struct scene *scene;
    enum state state;
    bool quoted, escaped;      /* where in a statement the block ended */
    bool star;                 /* a long comment: the last character was one */
    uint64_t longer;           /* statements that mattered and were too long */
    size_t len;                /* of what is kept */
    char kept[MAYA_STATEMENT]; /* of a statement or comment that goes on in the next block */
};

/* ---- one statement ---- */

static double number_of(struct str word, bool *is)
{
    char text[64], *end;
    *is = true;
    if (str_is(word, "yes") || str_is(word, "on") || str_is(word, "true"))
        return 1;
    if (str_is(word, "no") || str_is(word, "off") || str_is(word, "false"))
        return 0;
    double value = str_copy(text, sizeof(text), word) ? strtod(text, &end) : 0;
    *is = word.len > 0 && word.len < sizeof(text) && *end == '\0';
    return value;
}

/* The first text in " -type \"string\" \"C:/a.jpg\"", as an edit has it. */
static void edit_value(struct reading *self, const struct maya_row *row, struct str value)
{
    struct maya_words words;
    struct maya_word word;
    bool named = false, type = false;
    words.at = value.ptr;
    words.end = value.ptr + value.len;
    while (maya_words_next(&words, &word)) {
        if (named && word.quoted) {
            maya_text(&self->maya, row, word.text.ptr, word.text.len);
            return;
        }
        named = named || (type && str_is(word.text, "string"));
        type = !word.quoted && str_is(word.text, "-type");
    }
}

/* -type "dataReferenceEdits" "charRN" … 2 "|char:file1" "fileTextureName" " -type \"string\" \"C:/a.jpg\"" …: a node, its attribute, what
 * is set on that. */
static void edits(struct reading *self, struct maya_words *words)
{
    struct maya_word word;
    const struct maya_row *row = NULL;
    while (maya_words_next(words, &word)) {
        if (row && word.quoted)
            edit_value(self, row, word.text);
        row = word.quoted ? maya_row_anywhere(word.text) : NULL;
    }
}

/* setAttr ".ftn" -type "string" "…"; setAttr -k off ".rnd" no; setAttr "other.attr" … belongs to another node. */
static void set_attr(struct reading *self, struct maya_words *words)
{
    struct maya_word word;
    const struct maya_row *row;
    do
        if (!maya_words_next(words, &word))
            return;
    while (!word.quoted);
    if (word.text.len < 2 || word.text.ptr[0] != '.')
        return;
    const char *bracket = memchr(word.text.ptr, '[', word.text.len);
    struct str attr = {word.text.ptr + 1, (uint32_t)((bracket ? bracket : word.text.ptr + word.text.len) - word.text.ptr) - 1};
    if (!(row = maya_row(&self->maya, attr)))
        return;
    if (row->what == MAYA_EDITS) {
        edits(self, words);
        return;
    }
    bool flag = false; /* the word before was -type: this one names it */
    while (maya_words_next(words, &word)) {
        bool is, skip = flag;
        flag = !word.quoted && (str_is(word.text, "-type") || str_is(word.text, "-typ"));
        if (skip || flag)
            continue;
        if (word.quoted && maya_row_is_text(row)) {
            maya_text(&self->maya, row, word.text.ptr, word.text.len);
            continue; /* an array has several */
        }
        double value = number_of(word.text, &is);
        if (is && !maya_row_is_text(row)) {
            maya_number(&self->maya, row, value);
            return;
        }
    }
}

/* createNode TYPE -s -n "name" -p "parent" */
static void create_node(struct reading *self, struct maya_words *words)
{
    struct maya_word word;
    struct str type = {"", 0};
    if (maya_words_next(words, &word) && !word.quoted)
        type = word.text;
    if (!maya_type_matters(type)) {
        maya_node(&self->maya, (struct str){"", 0}, "", 0);
        return;
    }
    bool name = false;
    while (maya_words_next(words, &word)) {
        if (name) {
            maya_node(&self->maya, type, word.text.ptr, word.text.len);
            return;
        }
        name = !word.quoted && (str_is(word.text, "-n") || str_is(word.text, "-name"));
    }
    maya_node(&self->maya, type, "", 0);
}

/* select -ne :defaultRenderGlobals */
static void select_node(struct reading *self, struct maya_words *words)
{
    struct maya_word word = {0}, last = {0};
    while (maya_words_next(words, &word))
        last = word;
    maya_select(&self->maya, last.text);
}

static void text_keep(char *into, size_t size, size_t *len, struct str text)
{
    *len = text.len < size ? text.len : size;
    if (*len)
        memcpy(into, text.ptr, *len);
}

/* file -r -ns "a" -rfn "aRN" -typ "mayaAscii" "C:/a.ma": what is quoted last is the path. */
static void file_reference(struct reading *self, struct maya_words *words)
{
    struct maya_word word;
    char node[256], path[SCENE_TEXT];
    size_t node_len = 0, path_len = 0;
    bool reference = false, named = false;
    while (maya_words_next(words, &word)) {
        if (named)
            text_keep(node, sizeof(node), &node_len, word.text);
        else if (word.quoted)
            text_keep(path, sizeof(path), &path_len, word.text);
        reference = reference || (!word.quoted && (str_is(word.text, "-r") || str_is(word.text, "-rdi") ||
                                                   str_is(word.text, "-reference") || str_is(word.text, "-referenceDepthInfo")));
        named = !word.quoted && (str_is(word.text, "-rfn") || str_is(word.text, "-referenceNode"));
    }
    if (reference && path_len)
        maya_reference(&self->maya, path, path_len, node, node_len);
}

/* requires -nodeType "aiOptions" "mtoa" "5.3.1": the last two. */
static void requires(struct reading *self, struct maya_words *words)
{
    struct maya_word word;
    char before[128], last[128];
    size_t before_len = 0, last_len = 0;
    while (maya_words_next(words, &word)) {
        memcpy(before, last, last_len);
        before_len = last_len;
        text_keep(last, sizeof(last), &last_len, word.text);
    }
    if (before_len)
        maya_requires(&self->maya, (struct str){before, (uint32_t)before_len}, (struct str){last, (uint32_t)last_len});
}

/* currentUnit -l centimeter -a degree -t film */
static void current_unit(struct reading *self, struct maya_words *words)
{
    struct maya_word word;
    bool time = false;
    while (maya_words_next(words, &word)) {
        if (time)
            maya_time_unit(&self->maya, word.text);
        time = !word.quoted && (str_is(word.text, "-t") || str_is(word.text, "-time"));
    }
}

static const struct command {
    const char *name;
    void (*run)(struct reading *self, struct maya_words *words);
} commands[] = {{"setAttr", set_attr},    {"createNode", create_node}, {"select", select_node},
                {"file", file_reference}, {"requires", requires},      {"currentUnit", current_unit}};

/* What is to be done for a statement that begins so; NULL: it does not matter. */
static const struct command *command_of(const struct reading *self, const char *at, const char *end)
{
    if (*at == 's' && !self->maya.rows && end - at > 1 && at[1] == 'e' && (end - at < 4 || at[3] == 'A'))
        return NULL; /* setAttr of a node that does not matter: nearly all there is */
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        size_t len = strlen(commands[i].name);
        if (*at == *commands[i].name && (size_t)(end - at) > len && memcmp(at, commands[i].name, len) == 0 &&
            (at[len] == ' ' || at[len] == '\t' || at[len] == '\n' || at[len] == '\r'))
            return &commands[i];
    }
    return NULL;
}

static void statement(struct reading *self, const char *at, const char *end)
{
    const struct command *command = at < end ? command_of(self, at, end) : NULL;
    if (!command)
        return;
    struct maya_words words;
    words.at = at + strlen(command->name);
    words.end = end;
    command->run(self, &words);
}

/* "//Codeset: 936"; at stands on its second slash. */
static void comment(struct reading *self, const char *at, const char *end)
{
    static const char mark[] = "/Codeset:";
    char text[32];
    size_t len = (size_t)(end - at);
    if (len < sizeof(mark) - 1 || memcmp(at, mark, sizeof(mark) - 1) != 0)
        return;
    struct str rest = str_trim((struct str){at + sizeof(mark) - 1, (uint32_t)(len - sizeof(mark) + 1)}, " \t\r");
    if (str_is(rest, "UTF-8") || !str_copy(text, sizeof(text), rest))
        return;
    unsigned long page = strtoul(text, NULL, 10);
    if (page > 0 && page < 100000)
        scene_codeset(self->scene, (unsigned)page);
}

/* ---- finding their ends ---- */

static bool odd_backslashes(const char *from, const char *at, bool before)
{
    size_t count = 0;
    while (at > from && at[-1] == '\\') {
        at--;
        count++;
    }
    return ((count + (at == from && before)) & 1) != 0;
}

/* The `;` that ends a statement; NULL: it goes on behind end. */
static const char *statement_end(struct reading *self, const char *at, const char *end)
{
    const char *semicolon = NULL;
    bool sought = false;
    while (at < end) {
        if (self->quoted) {
            const char *quote = memchr(at, '"', (size_t)(end - at));
            bool odd = odd_backslashes(at, quote ? quote : end, self->escaped);
            self->escaped = !quote && odd;
            if (!quote)
                return NULL;
            self->quoted = odd;
            at = quote + 1;
            continue;
        }
        if (!sought || (semicolon && semicolon < at)) {
            semicolon = memchr(at, ';', (size_t)(end - at));
            sought = true;
        }
        const char *quote = memchr(at, '"', (size_t)((semicolon ? semicolon : end) - at));
        if (!quote)
            return semicolon;
        self->quoted = true;
        self->escaped = false;
        at = quote + 1;
    }
    return NULL;
}

/* Keeps what a block ends with. False: it is too long. */
static bool keep(struct reading *self, const char *at, const char *end)
{
    size_t len = (size_t)(end - at);
    if (len > sizeof(self->kept) - self->len)
        return false;
    memcpy(self->kept + self->len, at, len);
    self->len += len;
    return true;
}

static const char *between(struct reading *self, const char *at, const char *end)
{
    while (at < end && ((unsigned char)*at <= ' ' || *at == ';'))
        at++;
    if (at == end)
        return at;
    self->state = *at == '/' ? SLASH : STATEMENT;
    self->quoted = self->escaped = false;
    self->len = 0;
    return at + (*at == '/');
}

/* Which sort of comment it is; at stands behind its first slash. */
static const char *slash_pass(struct reading *self, const char *at)
{
    self->state = *at == '*' ? LONG_COMMENT : COMMENT;
    self->star = false;
    return at + (*at == '*');
}

static const char *comment_pass(struct reading *self, const char *at, const char *end)
{
    const char *line = memchr(at, '\n', (size_t)(end - at)), *to = line ? line : end;
    if (self->len + (size_t)(to - at) <= COMMENT_KEPT)
        keep(self, at, to);
    if (line) {
        comment(self, self->kept, self->kept + self->len);
        self->state = BETWEEN;
    }
    return to;
}

static const char *long_comment_pass(struct reading *self, const char *at, const char *end)
{
    for (; at < end; at++) {
        if (self->star && *at == '/') {
            self->state = BETWEEN;
            return at + 1;
        }
        self->star = *at == '*';
    }
    return end;
}

static const char *statement_pass(struct reading *self, const char *at, const char *end)
{
    const char *stop = statement_end(self, at, end);
    if (!stop && self->len == 0 && end - at >= WORD_MAX && !command_of(self, at, end))
        self->state = PASSED; /* what does not matter is not kept either */
    if (!stop) {
        if (self->state == STATEMENT && !keep(self, at, end)) {
            const char *from = self->len ? self->kept : at;
            self->longer += command_of(self, from, self->len ? self->kept + self->len : end) != NULL;
            self->state = PASSED;
        }
        return end;
    }
    if (self->state == STATEMENT && self->len == 0)
        statement(self, at, stop);
    else if (self->state == STATEMENT && keep(self, at, stop))
        statement(self, self->kept, self->kept + self->len);
    else if (self->state == STATEMENT)
        self->longer += command_of(self, self->kept, self->kept + self->len) != NULL;
    self->state = BETWEEN;
    return stop + 1;
}

static void feed(struct reading *self, const char *at, const char *end)
{
    while (at < end) {
        if (self->state == BETWEEN)
            at = between(self, at, end);
        else if (self->state == SLASH)
            at = slash_pass(self, at);
        else if (self->state == COMMENT)
            at = comment_pass(self, at, end);
        else if (self->state == LONG_COMMENT)
            at = long_comment_pass(self, at, end);
        else
            at = statement_pass(self, at, end);
    }
}

int maya_ascii_read(struct source *source, struct scene *scene, struct err *err)
{
    const char *data;
    size_t len;
    struct reading *self = calloc(1, sizeof(*self));
    if (!self)
        return err_set(err, ERR_NO_MEMORY, "no memory to read a scene");
    scene->format = SCENE_MAYA_ASCII;
    scene->compression = source_compression(source);
    self->scene = scene;
    maya_begin(&self->maya, scene);
    self->maya.edits_read = true;
    int rc;
    while ((rc = source_next(source, &data, &len, err)) > 0)
        feed(self, data, data + len);
    if (rc == 0 && self->state == STATEMENT)
        scene_note(scene, "its last statement has no end: it may be cut short");
    if (self->longer)
        scene_note(scene, "%llu statements of over %zu KiB were passed over", (unsigned long long)self->longer,
                   MAYA_STATEMENT >> 10);
    maya_end(&self->maya);
    free(self);
    return rc;
}
