/* prepare.py as it is in the program. */
#ifndef GANTRY_WORKER_RENDER_PREPARE_H
#define GANTRY_WORKER_RENDER_PREPARE_H

extern const char prepare_py_begin[], prepare_py_end[];

#endif
