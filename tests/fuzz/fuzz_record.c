/* A stored record, whatever its bytes: reading fields and words of it stays inside it. */
#include <stdlib.h>

#include "store/record.h"
#include "store/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_within(struct str part, struct str whole)
{
    if (part.len > 0 && (part.ptr < whole.ptr || part.ptr + part.len > whole.ptr + whole.len))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct str bytes = {(const char *)data, (uint32_t)size};
    if (size > UINT32_MAX || (!ready && record_init(NULL) != 0))
        return 0;
    ready = true;
    for (uint64_t type = 1; type < TYPE_MAX; type++) {
        const struct record *record = record_of(type);
        struct value values[RECORD_COLUMNS];
        if (!record)
            continue;
        if (record_read(record->columns, record->column_count, bytes, values) != 0)
            continue;
        for (unsigned i = 0; i < record->column_count; i++) {
            struct token token;
            expect_within(values[i].text, bytes);
            for (uint32_t item = 0; item < values[i].count && reader_next(&values[i].items, &token) == 0; item++) {
                if (token.kind == TOKEN_STR)
                    expect_within(token.u.text, bytes);
            }
        }
    }
    struct word word;
    for (struct str rest = bytes; words_next(&rest, &word);) {
        if (word.len == 0 || word.len > WORD_MAX)
            abort();
    }
    return 0;
}
