#include "store/findings.h"

#include <stdarg.h>

void finding(struct findings *findings, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (findings->count == 0)
        snprintf(findings->first, sizeof findings->first, "%s", text);
    findings->count++;
    if (findings->out && findings->count <= FINDINGS_MOST)
        fprintf(findings->out, "%s\n", text);
    else if (findings->out && findings->count == FINDINGS_MOST + 1)
        fputs("further ones are only counted\n", findings->out);
}
