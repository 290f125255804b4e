/* marks.c - what a record is, made from its mark: key, value, headers, or that it is a tombstone.
 *
 *   mark (producer, topic, partition, n) --hash--> key | length of the value | tombstone or not
 *   value:      the mark, filler                       of a tombstone the mark is a header
 *
 * Everything follows from the mark, so whoever reads a record knows what was written, byte by byte. Keys have a meaning in
 * topics that are compacted only: few of them there, so that records replace each other.
 */
#include "clients.h"

enum { VALUE_BYTES_MAX = 1500, TOMBSTONE_ONE_IN = 6 };

static uint64_t mark_seed(struct mark mark)
{
    return hash_bytes(&mark, sizeof mark);
}

static size_t filler_bytes(struct mark mark)
{
    uint64_t seed = mark_seed(mark);
    return seed % 8 == 0 ? seed / 8 % VALUE_BYTES_MAX : seed / 8 % 60;
}

uint32_t mark_key(struct mark mark)
{
    return (uint32_t)(mark_seed(mark) >> 32) % MARK_KEYS;
}

bool mark_is_tombstone(struct mark mark)
{
    return scenario.topics[mark.topic].compacts && (mark_seed(mark) >> 48) % TOMBSTONE_ONE_IN == 0;
}

/* Elsewhere a third of the records has none. */
static struct str key_of(struct mark mark, char *out, size_t size)
{
    uint32_t number = mark_key(mark);
    if (!scenario.topics[mark.topic].compacts && number % 3 == 0)
        return STR_NULL;
    snprintf(out, size, "key-%u", number);
    return str_from(out);
}

void mark_add(struct mark mark, struct batch_builder *builder, struct buf *scratch)
{
    char key[16];
    struct str value = str_of((const char *)&mark, sizeof mark);
    struct record_header header = {STR("mark"), value};
    bool tombstone = mark_is_tombstone(mark);
    if (!tombstone) {
        buf_clear(scratch);
        buf_append_str(scratch, value);
        size_t size = filler_bytes(mark);
        memset(buf_extend(scratch, size), (int)('a' + mark.n % 26), size);
        value = buf_str(scratch);
    }
    batch_builder_add(builder, sim_wall_us() / 1000, key_of(mark, key, sizeof key),
                      tombstone ? STR_NULL : value, &header, tombstone);
}

static void check_value(struct mark mark, struct str value)
{
    if (value.len != sizeof mark + filler_bytes(mark))
        sim_fail("a record of producer %u (n %llu) has a value of %zu bytes, %zu were sent", mark.producer,
                 (unsigned long long)mark.n, value.len, sizeof mark + filler_bytes(mark));
    for (size_t i = sizeof mark; i < value.len; i++)
        if (value.ptr[i] != (char)('a' + mark.n % 26))
            sim_fail("a record of producer %u (n %llu) is damaged at byte %zu", mark.producer,
                     (unsigned long long)mark.n, i);
}

struct mark mark_of(const struct record *rec)
{
    char expected[16];
    struct mark mark = {0};
    struct record_header header;
    struct str rest = rec->headers, bytes = rec->value;
    if (str_is_null(bytes) && rec->header_count == 1 && record_header_next(&rest, &header))
        bytes = header.value;
    if (bytes.len < sizeof mark)
        sim_fail("the record at %lld has %zu bytes of a mark", (long long)rec->offset, bytes.len);
    memcpy(&mark, bytes.ptr, sizeof mark);
    if (mark.topic >= scenario.topic_count)
        sim_fail("the record at %lld is of topic %u", (long long)rec->offset, mark.topic);
    if (str_is_null(rec->value) != mark_is_tombstone(mark))
        sim_fail("record %llu of producer %u %s a value", (unsigned long long)mark.n, mark.producer,
                 str_is_null(rec->value) ? "has lost" : "is a tombstone and has");
    struct str key = key_of(mark, expected, sizeof expected);
    if (str_is_null(rec->key) != str_is_null(key) || (!str_is_null(key) && !str_eq(rec->key, key)))
        sim_fail("record %llu of producer %u has the key %.*s, %.*s was sent", (unsigned long long)mark.n,
                 mark.producer, STR_ARG(rec->key), STR_ARG(key));
    if (!str_is_null(rec->value))
        check_value(mark, rec->value);
    return mark;
}
