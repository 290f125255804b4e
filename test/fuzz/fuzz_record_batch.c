/* fuzz_record_batch.c - any bytes as a run of batches: opened, walked, checked, printed, patched. The
 * checksum is made right first where the bytes allow it, so that the walk behind it is reached. */
#include <stdint.h>

#include "record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(struct batch *batch)
{
    struct batch_facts facts;
    struct batch_iter it;
    struct record rec;
    struct record_header header;
    struct buf plain = {0}, text = {0};
    struct err err;
    bool checked = batch_check_records(batch, &facts, &err);
    if (batch_iter_init(&it, batch, &plain, &err)) {
        int32_t count = 0;
        for (; batch_iter_next(&it, &rec); count++) {
            ASSERT(rec.offset >= batch->base_offset && rec.offset <= batch_last_offset(batch));
            struct str rest = rec.headers;
            while (record_header_next(&rest, &header))
                ASSERT_CMP(rest.len, <, rec.headers.len);
        }
        ASSERT(!checked || (count == batch->record_count && batch_iter_ok(&it, &err)));
    }
    struct describe_lines lines;
    describe_lines_init(&lines, &text);
    ignore(batch_describe(&lines.describe, batch, &(struct batch_describe){.records = true}),
           "damage is told");
    buf_fini(&plain);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf copy = {0};
    buf_append(&copy, data, size);
    struct str rest = buf_str(&copy);
    struct batch batch;
    struct err err;
    while (batch_next(&rest, &batch, &err)) {
        batch_set_time((char *)batch.bytes.ptr, false, batch.max_timestamp_ms ^ 1);
        ASSERT(batch_open(batch.bytes, &batch, &err) && batch_check_crc(&batch, &err));
        look_at(&batch);
    }
    buf_fini(&copy);
    return 0;
}
