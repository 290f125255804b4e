/* kafka.c - Kafka's own serializers: one column, big endian, no framing and no coercion. */
#include "serde/serde_int.h"

static bool wrong_size(const char *reader, int size, struct err *err)
{
    return err_set(err, ERR_SERIALIZATION, "Size of data received by %s is not %d", reader, size);
}

static bool kafka_decode(struct serde *serde, struct str bytes, struct value *const *cols, uint32_t row,
                         const bool *wanted, struct arena *arena, struct err *err)
{
    struct value v = VALUE_NULL;
    switch (serde->columns[0].type->kind) {
    case SQL_INTEGER:
        if (bytes.len != 4)
            return wrong_size("IntegerDeserializer", 4, err);
        v = value_int((int32_t)load_be32(bytes.ptr));
        break;
    case SQL_BIGINT:
        if (bytes.len != 8)
            return wrong_size("LongDeserializer", 8, err);
        v = value_bigint((int64_t)load_be64(bytes.ptr));
        break;
    case SQL_DOUBLE: {
        if (bytes.len != 8)
            return wrong_size("DoubleDeserializer", 8, err);
        uint64_t bits = load_be64(bytes.ptr);
        v = value_double(0);
        memcpy(&v.d, &bits, sizeof bits);
        break;
    }
    case SQL_STRING:
        v = value_str(utf8_repair(bytes, arena));
        break;
    case SQL_BYTES:
        v = value_bytes(bytes);
        break;
    default:
        UNREACHABLE(); /* serde_check refuses all other types */
    }
    if (wanted == NULL || wanted[0])
        cols[0][row] = v;
    return true;
}

static bool kafka_encode(struct serde *serde, const struct value *const *cols, uint32_t row, struct buf *out,
                         struct err *err)
{
    struct value v = cols[0][row];
    uint64_t bits;
    switch (v.kind) {
    case SQL_INTEGER:
        store_be32(buf_extend(out, 4), (uint32_t)v.l);
        return true;
    case SQL_BIGINT:
        store_be64(buf_extend(out, 8), (uint64_t)v.l);
        return true;
    case SQL_DOUBLE:
        memcpy(&bits, &v.d, sizeof bits);
        store_be64(buf_extend(out, 8), bits);
        return true;
    case SQL_STRING:
    case SQL_BYTES:
        buf_append(out, v.ptr, v.len);
        return true;
    default:
        UNREACHABLE();
    }
}

const struct serde_class serde_class_kafka = {.decode = kafka_decode, .encode = kafka_encode};
