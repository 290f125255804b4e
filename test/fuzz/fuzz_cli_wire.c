/* Bytes as what rialto dump wire is given: a capture, raw bytes or hex. Everything is told or named as damaged. */
#include "cli/dump_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf bytes = {0}, text = {0};
    struct describe_lines lines;
    struct wire_counts counts;
    struct err err;
    buf_append(&bytes, data, size);
    describe_lines_init(&lines, &text);
    bool ok = dump_wire_bytes(&bytes, 9092, &lines.describe, &counts, &err);
    ASSERT(ok || err.text[0] != '\0');
    buf_fini(&bytes);
    buf_fini(&text);
    return 0;
}
