#include "worker/video/rules.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/messages.h"

/* A table becomes a row of steps for a machine with a stack, so that reading it is the only recursion, and that is bounded. */
enum type { T_NUMBER, T_TEXT, T_TRUTH };
enum code {
    PUSH_NUMBER,
    PUSH_TEXT,
    PUSH_NAME,
    ADD,
    SUB,
    MUL,
    DIV,
    MIN,
    MAX,
    EQ,
    NE,
    LT,
    LE,
    GT,
    GE,
    TEXT_EQ,
    TEXT_NE,
    LIKE,
    AND,
    OR,
    NOT,
    ROW, /* takes a truth: if it holds, the table's answer is count */
};

enum name {
    N_CODEC,
    N_BITRATE,
    N_WIDTH,
    N_HEIGHT,
    N_PIXELS,
    N_FPS,
    N_DURATION,
    N_SIZE,
    N_DEPTH,
    N_CHAPTERS,
    N_AUDIO_STREAMS,
    N_CHANNELS,
    N_SUBTITLES,
    N_CONTAINER,
    N_AUDIO,
    N_PATH,
    N_VR,
    N_HDR,
    N_INTERLACED,
    N_TRUE,
    NAMES
};

const char *const rules_names[] = {
    [N_CODEC] = "codec",
    [N_BITRATE] = "bitrate",
    [N_WIDTH] = "width",
    [N_HEIGHT] = "height",
    [N_PIXELS] = "pixels",
    [N_FPS] = "fps",
    [N_DURATION] = "duration",
    [N_SIZE] = "size",
    [N_DEPTH] = "depth",
    [N_CHAPTERS] = "chapters",
    [N_AUDIO_STREAMS] = "audio_streams",
    [N_CHANNELS] = "channels",
    [N_SUBTITLES] = "subtitles",
    [N_CONTAINER] = "container",
    [N_AUDIO] = "audio",
    [N_PATH] = "path",
    [N_VR] = "vr",
    [N_HDR] = "hdr",
    [N_INTERLACED] = "interlaced",
    [N_TRUE] = "true",
    [NAMES] = NULL,
};

static enum type name_type(enum name name)
{
    return name == N_CODEC || name == N_CONTAINER || name == N_AUDIO || name == N_PATH ? T_TEXT
           : name >= N_VR                                                              ? T_TRUTH
                                                                                       : T_NUMBER;
}

/* ---- reading ---- */

struct reading {
    struct rules *rules;
    const char *at;
    unsigned depth, stack;
    struct err *err;
    bool failed;
};

static void wrong(struct reading *in, const char *what)
{
    if (!in->failed)
        err_set(in->err, ERR_INVALID, "transcode.rules, at character %zu: %s", (size_t)(in->at - in->rules->text) + 1, what);
    in->failed = true;
}

static void blanks(struct reading *in)
{
    in->at += strspn(in->at, " \t\n");
}

static size_t word_len(const char *at)
{
    size_t len = 0;
    while (isalnum((unsigned char)at[len]) || at[len] == '_')
        len++;
    return len;
}

static bool word(struct reading *in, const char *text)
{
    blanks(in);
    size_t len = word_len(in->at);
    if (len != strlen(text) || strncmp(in->at, text, len) != 0)
        return false;
    in->at += len;
    return true;
}

static bool sign(struct reading *in, const char *text)
{
    blanks(in);
    size_t len = strlen(text);
    if (strncmp(in->at, text, len) != 0)
        return false;
    in->at += len;
    return true;
}

static struct rules_op *emit(struct reading *in, enum code code, int change)
{
    static struct rules_op spare;
    struct rules *rules = in->rules;
    if (rules->count == RULES_OPS_MAX)
        wrong(in, "the table is too long");
    in->stack = (unsigned)((int)in->stack + change);
    if (in->stack > RULES_STACK)
        wrong(in, "this goes too deep");
    struct rules_op *op = in->failed ? &spare : &rules->ops[rules->count++];
    *op = (struct rules_op){.code = (unsigned char)code};
    return op;
}

static enum type read_or(struct reading *in);

static void need(struct reading *in, enum type have, enum type due)
{
    static const char *const words[] = {"a number is due here", "a text is due here", "something true or false is due here"};
    if (have != due)
        wrong(in, words[due]);
}

static void read_text(struct reading *in, char quote)
{
    const char *end = strchr(in->at, quote);
    if (!end) {
        wrong(in, "this text has no end");
        return;
    }
    struct rules_op *op = emit(in, PUSH_TEXT, 1);
    op->at = (unsigned short)(in->at - in->rules->text);
    op->len = (unsigned short)(end - in->at);
    in->at = end + 1;
}

/* min, max and clamp: the latter is max(low, min(high, value)). */
static void read_function(struct reading *in, const char *name)
{
    bool clamp = strcmp(name, "clamp") == 0;
    enum code code = strcmp(name, "max") == 0 ? MAX : MIN;
    if (!sign(in, "("))
        wrong(in, "a ( is due here");
    need(in, read_or(in), T_NUMBER);
    unsigned count = 1;
    while (!in->failed && sign(in, ",")) {
        need(in, read_or(in), T_NUMBER);
        count++;
        if (clamp && count == 2)
            emit(in, MAX, -1);
        else
            emit(in, clamp ? MIN : code, -1);
    }
    if (!sign(in, ")"))
        wrong(in, "a ) is due here");
    if (clamp ? count != 3 : count < 2)
        wrong(in, clamp ? "clamp takes a value, the lowest and the highest" : "min and max take two values or more");
}

static enum type read_name(struct reading *in)
{
    static const char *const functions[] = {"min", "max", "clamp"};
    char name[32] = "";
    size_t len = word_len(in->at);
    if (len < sizeof(name))
        memcpy(name, in->at, len);
    for (size_t i = 0; i < 3; i++)
        if (strcmp(name, functions[i]) == 0) {
            in->at += len;
            read_function(in, functions[i]);
            return T_NUMBER;
        }
    for (enum name i = 0; i < NAMES; i++)
        if (strcmp(name, rules_names[i]) == 0) {
            in->at += len;
            emit(in, PUSH_NAME, 1)->name = (unsigned char)i;
            return name_type(i);
        }
    char text[96];
    snprintf(text, sizeof(text), len ? "there is no name %.32s" : "a value is due here", name);
    wrong(in, text);
    return T_NUMBER;
}

static enum type read_one(struct reading *in)
{
    blanks(in);
    if (in->failed || ++in->depth > RULES_STACK) {
        wrong(in, "this goes too deep");
        return T_NUMBER;
    }
    enum type type = T_NUMBER;
    if (isdigit((unsigned char)*in->at)) {
        size_t len = strspn(in->at, "0123456789");
        len += in->at[len] == '.' ? 1 + strspn(in->at + len + 1, "0123456789") : 0;
        if (len > 30)
            wrong(in, "this number is too long");
        else
            emit(in, PUSH_NUMBER, 1)->number = strtod(in->at, NULL);
        in->at += len;
    } else if (*in->at == '\'' || *in->at == '"') {
        in->at++;
        read_text(in, in->at[-1]);
        type = T_TEXT;
    } else if (sign(in, "(")) {
        type = read_or(in);
        if (!sign(in, ")"))
            wrong(in, "a ) is due here");
    } else
        type = read_name(in);
    in->depth--;
    return type;
}

static enum type read_term(struct reading *in)
{
    enum type type = read_one(in);
    for (;;) {
        enum code code = sign(in, "*") ? MUL : sign(in, "/") ? DIV : ROW;
        if (code == ROW || in->failed)
            return type;
        need(in, type, T_NUMBER);
        need(in, read_one(in), T_NUMBER);
        emit(in, code, -1);
    }
}

static enum type read_sum(struct reading *in)
{
    enum type type = read_term(in);
    for (;;) {
        enum code code = sign(in, "+") ? ADD : sign(in, "-") ? SUB : ROW;
        if (code == ROW || in->failed)
            return type;
        need(in, type, T_NUMBER);
        need(in, read_term(in), T_NUMBER);
        emit(in, code, -1);
    }
}

/* x in (a, b): x == a or x == b, with x on the stack once; count says how many stand above it. */
static void read_in(struct reading *in, enum type type)
{
    unsigned count = 0;
    if (!sign(in, "("))
        wrong(in, "a ( is due here");
    do {
        need(in, read_sum(in), type);
        count++;
    } while (!in->failed && sign(in, ","));
    if (!sign(in, ")"))
        wrong(in, "a ) is due here");
    emit(in, type == T_TEXT ? TEXT_EQ : EQ, -(int)count)->count = (unsigned short)count;
}

static enum type read_test(struct reading *in)
{
    static const struct {
        const char *sign;
        enum code code, text;
    } tests[] = {{"==", EQ, TEXT_EQ}, {"!=", NE, TEXT_NE}, {"<=", LE, LE}, {">=", GE, GE}, {"<", LT, LT}, {">", GT, GT}};
    enum type type = read_sum(in);
    if (type != T_TRUTH && word(in, "in")) {
        read_in(in, type);
        return T_TRUTH;
    }
    if (type == T_TEXT && word(in, "like")) {
        need(in, read_sum(in), T_TEXT);
        emit(in, LIKE, -1);
        return T_TRUTH;
    }
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (!in->failed && sign(in, tests[i].sign)) {
            if (type == T_TRUTH || (type == T_TEXT && tests[i].code == tests[i].text))
                wrong(in, type == T_TEXT ? "texts have no order: == and != alone compare them" : "this is true or false already");
            need(in, read_sum(in), type);
            emit(in, type == T_TEXT ? tests[i].text : tests[i].code, -1)->count = 1;
            return T_TRUTH;
        }
    return type;
}

static enum type read_not(struct reading *in)
{
    bool invert = false, any = false;
    while (word(in, "not")) {
        invert = !invert;
        any = true;
    }
    enum type type = read_test(in);
    if (any)
        need(in, type, T_TRUTH);
    if (invert)
        emit(in, NOT, 0);
    return type;
}

static enum type read_and(struct reading *in)
{
    enum type type = read_not(in);
    while (!in->failed && word(in, "and")) {
        need(in, type, T_TRUTH);
        need(in, read_not(in), T_TRUTH);
        emit(in, AND, -1);
    }
    return type;
}

static enum type read_or(struct reading *in)
{
    enum type type = read_and(in);
    while (!in->failed && word(in, "or")) {
        need(in, type, T_TRUTH);
        need(in, read_and(in), T_TRUTH);
        emit(in, OR, -1);
    }
    return type;
}

static void read_row(struct reading *in)
{
    bool yes = word(in, "yes");
    if (!yes && !word(in, "no"))
        wrong(in, "a row begins with yes or no");
    in->stack = 0;
    if (word(in, "if"))
        need(in, read_or(in), T_TRUTH);
    else
        emit(in, PUSH_NAME, 1)->name = N_TRUE;
    emit(in, ROW, -1)->count = yes;
}

int rules_read(const char *text, struct rules *rules, struct err *err)
{
    struct reading in = {.rules = rules, .at = rules->text, .err = err};
    rules->count = 0;
    size_t len = strlen(text);
    if (len > RULES_TEXT_MAX)
        return err_set(err, ERR_INVALID, "transcode.rules has at most %d characters", RULES_TEXT_MAX);
    memcpy(rules->text, text, len + 1);
    do {
        blanks(&in);
        if (*in.at == '\0' && rules->count)
            break; /* a ; at the end */
        read_row(&in);
    } while (!in.failed && sign(&in, ";"));
    blanks(&in);
    if (!in.failed && *in.at)
        wrong(&in, "what stands here is not understood");
    return in.failed ? -1 : 0;
}

/* ---- judging ---- */

struct value {
    double number; /* or a truth */
    const char *text;
    size_t len;
};

static const struct probe_stream *first_audio(const struct probe *probe)
{
    for (unsigned i = 0; i < probe->count; i++)
        if (probe->streams[i].kind == PROBE_AUDIO)
            return &probe->streams[i];
    return NULL;
}

static const char *name_text(enum name name, const struct probe *probe, const char *path)
{
    const struct probe_stream *film = probe_film(probe), *audio = first_audio(probe);
    switch (name) {
    case N_CODEC:
        return film ? film->codec : "";
    case N_CONTAINER:
        return probe->format;
    case N_AUDIO:
        return audio ? audio->codec : "";
    default:
        return path;
    }
}

static double name_number(enum name name, const struct probe *probe, bool vr)
{
    static const struct probe_stream none;
    const struct probe_stream *film = probe_film(probe), *audio = first_audio(probe);
    film = film ? film : &none;
    switch (name) {
    case N_BITRATE:
        return (double)probe_video_bitrate(probe) / 1000;
    case N_WIDTH:
        return film->width;
    case N_HEIGHT:
        return film->height;
    case N_PIXELS:
        return (double)film->width * film->height;
    case N_FPS:
        return film->fps;
    case N_DURATION:
        return probe->duration;
    case N_SIZE:
        return (double)probe->size / 1048576;
    case N_DEPTH:
        return film->depth;
    case N_CHAPTERS:
        return probe->chapters;
    case N_AUDIO_STREAMS:
        return probe_count(probe, PROBE_AUDIO);
    case N_CHANNELS:
        return audio ? audio->channels : 0;
    case N_SUBTITLES:
        return probe_count(probe, PROBE_SUBTITLE);
    case N_VR:
        return vr;
    case N_HDR:
        return probe_is_hdr(probe);
    case N_INTERLACED:
        return film->interlaced;
    default:
        return 1;
    }
}

static bool text_same(const struct value *a, const struct value *b)
{
    return a->len == b->len && strncasecmp(a->text, b->text, a->len) == 0;
}

static bool text_like(const struct value *text, const struct value *pattern)
{
    char a[4096], b[RULES_TEXT_MAX + 1];
    if (text->len >= sizeof(a))
        return false;
    memcpy(a, text->text, text->len);
    a[text->len] = '\0';
    memcpy(b, pattern->text, pattern->len < sizeof(b) ? pattern->len : 0);
    b[pattern->len < sizeof(b) ? pattern->len : 0] = '\0';
    return fnmatch(b, a, FNM_CASEFOLD) == 0;
}

/* Whether the first of 1 + count values is one of the others. */
static bool any_same(const struct value *first, unsigned count, bool text)
{
    for (unsigned i = 1; i <= count; i++)
        if (text ? text_same(first, first + i) : first->number == first[i].number)
            return true;
    return false;
}

static double arithmetic(enum code code, double a, double b)
{
    switch (code) {
    case ADD:
        return a + b;
    case SUB:
        return a - b;
    case MUL:
        return a * b;
    case DIV:
        return b != 0 ? a / b : 0;
    case MIN:
        return a < b ? a : b;
    case MAX:
        return a > b ? a : b;
    case NE:
        return a != b;
    case LT:
        return a < b;
    case LE:
        return a <= b;
    case GT:
        return a > b;
    case GE:
        return a >= b;
    case AND:
        return a != 0 && b != 0;
    default:
        return a != 0 || b != 0;
    }
}

struct rules_verdict rules_judge(const struct rules *rules, const struct probe *probe, const char *path, bool vr)
{
    struct value stack[RULES_STACK + 1];
    struct rules_verdict verdict = {0};
    unsigned top = 0, row = 0; /* top: values on the stack; the reader has seen to it that there are enough, and not too many */
    for (unsigned i = 0; i < rules->count; i++) {
        const struct rules_op *op = &rules->ops[i];
        struct value *next = &stack[top];
        switch ((enum code)op->code) {
        case PUSH_NUMBER:
            *next = (struct value){.number = op->number};
            top++;
            break;
        case PUSH_TEXT:
            *next = (struct value){.text = rules->text + op->at, .len = op->len};
            top++;
            break;
        case PUSH_NAME:
            *next = (struct value){.number = name_number((enum name)op->name, probe, vr),
                                   .text = name_text((enum name)op->name, probe, path)};
            next->len = strlen(next->text);
            top++;
            break;
        case EQ:
        case TEXT_EQ:
            top -= op->count;
            stack[top - 1] = (struct value){.number = any_same(&stack[top - 1], op->count, op->code == TEXT_EQ)};
            break;
        case TEXT_NE:
            top--;
            stack[top - 1] = (struct value){.number = !text_same(&stack[top - 1], &stack[top])};
            break;
        case LIKE:
            top--;
            stack[top - 1] = (struct value){.number = text_like(&stack[top - 1], &stack[top])};
            break;
        case NOT:
            stack[top - 1].number = stack[top - 1].number == 0;
            break;
        case ROW:
            row++;
            if (stack[--top].number != 0)
                return (struct rules_verdict){.wanted = op->count, .row = row};
            break;
        default:
            top--;
            stack[top - 1].number = arithmetic((enum code)op->code, stack[top - 1].number, stack[top].number);
            break;
        }
    }
    return verdict;
}
