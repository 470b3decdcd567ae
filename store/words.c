#include "store/words.h"

/* One UTF-8 character off the front; a byte that begins none is a separator. */
static uint32_t char_next(struct str *text)
{
    const unsigned char *at = (const unsigned char *)text->ptr;
    uint32_t code = at[0], more = code < 0xc0 ? 0 : code < 0xe0 ? 1 : code < 0xf0 ? 2 : 3;
    bool whole = code < 0x80 || (more > 0 && more < text->len);
    if (more > 0)
        code &= 0x3fU >> more;
    for (uint32_t i = 1; whole && i <= more; i++) {
        whole = (at[i] & 0xc0) == 0x80;
        code = code << 6 | (at[i] & 0x3fU);
    }
    uint32_t used = whole ? more + 1 : 1;
    text->ptr += used;
    text->len -= used;
    return whole ? code : ' ';
}

static uint32_t char_lower(uint32_t code)
{
    if ((code >= 'A' && code <= 'Z') || (code >= 0xc0 && code <= 0xde && code != 0xd7) || (code >= 0x391 && code <= 0x3a9) ||
        (code >= 0x410 && code <= 0x42f))
        return code + 0x20;
    return code >= 0x400 && code <= 0x40f ? code + 0x50 : code;
}

static bool char_separates(uint32_t code)
{
    if (code < 0x80)
        return !((code >= 'a' && code <= 'z') || (code >= '0' && code <= '9'));
    return code < 0xaa || code == 0xd7 || code == 0xf7 || (code >= 0x2000 && code <= 0x2bff) ||
           (code >= 0x3000 && code <= 0x3004) || (code >= 0x3008 && code <= 0x3020) || (code >= 0xfe10 && code <= 0xfe6f) ||
           (code >= 0xff01 && code <= 0xff0f) || (code >= 0xff1a && code <= 0xff20);
}

static bool char_alone(uint32_t code)
{
    return (code >= 0x2e80 && code <= 0x9fff) || (code >= 0xac00 && code <= 0xd7ff) || (code >= 0xf900 && code <= 0xfaff) ||
           (code >= 0x20000 && code <= 0x3ffff);
}

static void word_add(struct word *word, uint32_t code)
{
    char bytes[4];
    uint32_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (len == 1) {
        bytes[0] = (char)code;
    } else {
        for (uint32_t i = len; i-- > 1; code >>= 6)
            bytes[i] = (char)(0x80 | (code & 0x3f));
        bytes[0] = (char)((0xf00U >> len & 0xffU) | code);
    }
    if (word->len + len > WORD_MAX)
        return;
    memcpy(word->bytes + word->len, bytes, len);
    word->len += len;
}

bool words_next(struct str *text, struct word *word)
{
    word->len = 0;
    while (text->len > 0) {
        struct str before = *text;
        uint32_t code = char_lower(char_next(text));
        if (char_separates(code)) {
            if (word->len > 0)
                return true;
        } else if (char_alone(code)) {
            if (word->len > 0)
                *text = before; /* it comes next */
            else
                word_add(word, code);
            return true;
        } else {
            word_add(word, code);
        }
    }
    return word->len > 0;
}
