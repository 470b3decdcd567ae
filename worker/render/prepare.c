#include "worker/render/prepare.h"

/* Put into the program by the assembler, as it is. */
__asm__(".pushsection .rodata\n.globl prepare_py_begin, prepare_py_end\nprepare_py_begin:\n.incbin \"" PREPARE_PY
        "\"\nprepare_py_end:\n.popsection\n");
