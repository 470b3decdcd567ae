#include "gateway/web/html.h"

static const char *entity(unsigned char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return c < 0x20 || c == 0x7f ? " " : NULL;
    }
}

void html_text(struct buf *out, struct str text, size_t max)
{
    size_t characters = 0;

    for (uint32_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool begins = (c & 0xC0) != 0x80;
        if (begins && characters++ == max) {
            buf_text(out, "…");
            return;
        }
        const char *replaced = entity(c);
        if (replaced)
            buf_text(out, replaced);
        else
            buf_add(out, &text.ptr[i], 1);
    }
}
