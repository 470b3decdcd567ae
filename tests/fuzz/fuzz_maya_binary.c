#include "tests/fuzz/scene_input.h"
#include "worker/scene/maya_binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scene_input(data, size, maya_binary_read);
    return 0;
}
