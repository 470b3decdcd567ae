#include "tests/fuzz/scene_input.h"
#include "worker/scene/maya_ascii.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scene_input(data, size, maya_ascii_read);
    return 0;
}
