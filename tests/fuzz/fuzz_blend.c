#include "tests/fuzz/scene_input.h"
#include "worker/scene/blend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scene_input(data, size, blend_read);
    return 0;
}
