/* wire_fill.c - random contents for any message: one walk over the field table, as the encoder does it.
 *
 * The version plays no part: fields that it lacks are skipped when the struct is encoded.
 */
#include "wire_fill.h"
#include "wire/wire_int.h"

enum { STRING_BYTES_MAX = 40, DEPTH_MAX = 6 };

static uint64_t below(struct wire_fill *fill, uint64_t n)
{
    return fill->random(fill->arg) % n;
}

/* Small, an edge, or anything. */
static int64_t pick_number(struct wire_fill *fill, int bits)
{
    int64_t high = bits == 64 ? INT64_MAX : (INT64_C(1) << (bits - 1)) - 1;
    switch (below(fill, 8)) {
    case 0:
        return -1;
    case 1:
        return high;
    case 2:
        return -high - 1;
    case 3:
        return (int64_t)(fill->random(fill->arg) & (uint64_t)high);
    default:
        return (int64_t)below(fill, 4);
    }
}

static struct str pick_string(struct wire_fill *fill)
{
    if (fill->word_count > 0 && below(fill, 4) != 0)
        return fill->words[below(fill, fill->word_count)];
    size_t len = (size_t)below(fill, STRING_BYTES_MAX);
    char *bytes = arena_alloc(fill->arena, len + 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)below(fill, 256);
    return str_of(bytes, len);
}

static void fill_depth(struct wire_fill *fill, const struct wire_struct *type, char *out, int depth);

static void fill_number(struct wire_fill *fill, enum wire_type type, void *at)
{
    switch (type) {
    case WIRE_BOOL:
        *(bool *)at = below(fill, 2);
        break;
    case WIRE_INT8:
        *(int8_t *)at = (int8_t)pick_number(fill, 8);
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        *(int16_t *)at = (int16_t)pick_number(fill, 16);
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        *(int32_t *)at = (int32_t)pick_number(fill, 32);
        break;
    case WIRE_INT64:
        *(int64_t *)at = pick_number(fill, 64);
        break;
    case WIRE_FLOAT64:
        *(double *)at = (double)pick_number(fill, 64);
        break;
    default:
        ASSERT(!"not a number");
    }
}

static void fill_one(struct wire_fill *fill, const struct wire_field *field, char *at, int depth)
{
    switch (field->type) {
    case WIRE_STRUCT:
        if (wire_is_pointer(field)) {
            bool null = below(fill, 2) == 0;
            *(void **)at = null ? NULL : arena_zalloc(fill->arena, 1, field->sub->size);
            at = *(void **)at;
        }
        if (at != NULL)
            fill_depth(fill, field->sub, at, depth + 1);
        break;
    case WIRE_UUID:
        for (size_t i = 0; i < sizeof(struct uuid); i++)
            at[i] = (char)below(fill, 3);
        break;
    case WIRE_STRING:
    case WIRE_BYTES:
        *(struct str *)at = below(fill, 8) == 0 ? STR_NULL : pick_string(fill);
        break;
    case WIRE_RECORDS:
        *(struct wire_records *)at = (struct wire_records){.bytes = pick_string(fill)};
        break;
    default:
        fill_number(fill, field->type, at);
    }
}

static void fill_array(struct wire_fill *fill, const struct wire_field *field, char *at, int depth)
{
    wire_any_array *array = (void *)at;
    size_t size = wire_value_size(field);
    int32_t count = depth >= DEPTH_MAX ? 0 : (int32_t)below(fill, (uint64_t)fill->array_max + 1);
    array->len = below(fill, 10) == 0 ? -1 : count;
    array->at = NULL;
    if (array->len <= 0)
        return;
    array->at = arena_zalloc(fill->arena, (size_t)count, size);
    for (int32_t i = 0; i < count; i++)
        fill_one(fill, field, array->at + (size_t)i * size, depth);
}

static void fill_depth(struct wire_fill *fill, const struct wire_struct *type, char *out, int depth)
{
    wire_init(type, out);
    for (uint16_t i = 0; i < type->field_count; i++) {
        const struct wire_field *field = &type->fields[i];
        if (field->flags & WIRE_ARRAY)
            fill_array(fill, field, out + field->at, depth);
        else
            fill_one(fill, field, out + field->at, depth);
    }
}

void wire_fill_struct(struct wire_fill *fill, const struct wire_struct *type, void *out)
{
    fill_depth(fill, type, out, 0);
}
