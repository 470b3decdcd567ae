#include "gateway/web/docs.h"

#include "gateway/reply.h"

/* The bytes of a file, put into the program by the assembler: no array of numbers to make, none to compile. */
#define EMBED(name, path)                                                                                                        \
    __asm__(".pushsection .rodata\n" #name "_begin:\n.incbin \"" path "\"\n" #name "_end:\n.popsection\n");                      \
    extern const char name##_begin[] __attribute__((visibility("hidden")));                                                      \
    extern const char name##_end[] __attribute__((visibility("hidden")))

EMBED(docs_html, DOCS_HTTP "/scheduler.html");
EMBED(docs_yaml, DOCS_HTTP "/scheduler.yaml");

static void copy(struct request *request, const char *begin, const char *end)
{
    buf_reset(&request->out);
    buf_add(&request->out, begin, (size_t)(end - begin)); /* what could not be added is answered with a 503 */
}

void docs_page(struct request *request)
{
    copy(request, docs_html_begin, docs_html_end);
    reply_html(request, 200);
}

void docs_document(struct request *request)
{
    copy(request, docs_yaml_begin, docs_yaml_end);
    reply_written(request, 200, "application/yaml; charset=utf-8");
}
