#include "tests/fuzz/scene_input.h"
#include "worker/scene/unreal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scene_input(data, size, size && data[0] == 0xc1 ? umap_read : uproject_read);
    return 0;
}
