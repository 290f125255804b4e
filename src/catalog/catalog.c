/* catalog.c - snapshots of named sources and types, shared by reference.
 *
 *   snapshot 1   entries [A][B]                    by_name [A B]
 *   snapshot 2   entries [A][B][C]  = 1 + C        by_name [A B C]      A and B are the same objects in both
 *
 * (C1) A snapshot is never changed after it was returned; only its count of references moves (atomically).
 * (C2) `entries` stand in order of creation, a replaced one in the place of the old one; `by_name` is
 *      sorted by bytes.
 * (C3) A source or a type is freed with the last snapshot, or other holder, that refers to it.
 *
 * Changing costs a copy of the pointers: statements that change the catalog are rare, lookups are not.
 */
#include "catalog/catalog.h"

/* A custom type with its own memory, shared by snapshots. */
struct custom_type {
    struct str name;
    const struct sql_type *type;
    struct arena arena;
    int refs; /* atomic */
};

struct catalog {
    const struct source **sources;
    uint32_t *by_name; /* indexes into sources */
    uint32_t source_count;
    struct custom_type **types; /* few: searched one by one */
    uint32_t type_count;
    int refs; /* atomic */
};

static void count_up(int *refs)
{
    int before = __atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
    ASSERT_CMP(before, >, 0);
}

/* True when this was the last reference. */
static bool count_down(int *refs)
{
    int before = __atomic_fetch_sub(refs, 1, __ATOMIC_ACQ_REL);
    ASSERT_CMP(before, >, 0);
    return before == 1;
}

/* Sources ------------------------------------------------------------------------------------------------ */

const struct source *source_ref(const struct source *source)
{
    count_up(&((struct source *)source)->refs);
    return source;
}

void source_unref(const struct source *source)
{
    if (source == NULL || !count_down(&((struct source *)source)->refs))
        return;
    struct arena *arena = source->arena;
    arena_fini(arena);
    free(arena);
}

static struct source_format format_dup(const struct source_format *format, struct arena *arena)
{
    struct source_format copy = *format;
    copy.name = str_dup(format->name, arena);
    copy.schema_full_name = str_dup(format->schema_full_name, arena);
    copy.nullable_as = str_dup(format->nullable_as, arena);
    return copy;
}

struct source *source_new(const struct source *proto)
{
    struct arena *arena = mem_new(struct arena);
    struct source *source = arena_new(arena, struct source);
    *source = *proto;
    source->arena = arena;
    source->refs = 1;
    source->name = str_dup(proto->name, arena);
    source->schema = schema_dup(proto->schema, arena);
    source->topic = str_dup(proto->topic, arena);
    source->key_format = format_dup(&proto->key_format, arena);
    source->value_format = format_dup(&proto->value_format, arena);
    source->timestamp_column = str_dup(proto->timestamp_column, arena);
    source->timestamp_format = str_dup(proto->timestamp_format, arena);
    source->statement = str_dup(proto->statement, arena);
    source->query_id = str_dup(proto->query_id, arena);
    struct str *references = arena_array(arena, struct str, proto->reference_count);
    for (uint32_t i = 0; i < proto->reference_count; i++)
        references[i] = str_dup(proto->references[i], arena);
    source->references = references;
    return source;
}

/* Snapshots ---------------------------------------------------------------------------------------------- */

struct catalog *catalog_new(void)
{
    struct catalog *catalog = mem_new(struct catalog);
    catalog->refs = 1;
    return catalog;
}

const struct catalog *catalog_ref(const struct catalog *catalog)
{
    count_up(&((struct catalog *)catalog)->refs);
    return catalog;
}

static void custom_type_unref(struct custom_type *type)
{
    if (!count_down(&type->refs))
        return;
    arena_fini(&type->arena);
    free(type);
}

void catalog_unref(const struct catalog *catalog)
{
    if (catalog == NULL || !count_down(&((struct catalog *)catalog)->refs))
        return;
    for (uint32_t i = 0; i < catalog->source_count; i++)
        source_unref(catalog->sources[i]);
    for (uint32_t i = 0; i < catalog->type_count; i++)
        custom_type_unref(catalog->types[i]);
    free(catalog->sources);
    free(catalog->by_name);
    free(catalog->types);
    free((struct catalog *)catalog);
}

/* Position in by_name of the first source whose name is not before `name`. */
static uint32_t name_position(const struct catalog *catalog, struct str name)
{
    uint32_t low = 0, high = catalog->source_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (str_cmp(catalog->sources[catalog->by_name[middle]]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct source *catalog_source(const struct catalog *catalog, struct str name)
{
    uint32_t at = name_position(catalog, name);
    if (at == catalog->source_count)
        return NULL;
    const struct source *source = catalog->sources[catalog->by_name[at]];
    return str_eq(source->name, name) ? source : NULL;
}

const struct source *catalog_source_at(const struct catalog *catalog, uint32_t i)
{
    return i < catalog->source_count ? catalog->sources[i] : NULL;
}

static int type_index(const struct catalog *catalog, struct str name)
{
    for (uint32_t i = 0; i < catalog->type_count; i++)
        if (str_eq(catalog->types[i]->name, name))
            return (int)i;
    return -1;
}

const struct sql_type *catalog_type(const struct catalog *catalog, struct str name)
{
    int i = type_index(catalog, name);
    return i < 0 ? NULL : catalog->types[i]->type;
}

bool catalog_type_at(const struct catalog *catalog, uint32_t i, struct str *name,
                     const struct sql_type **type)
{
    if (i >= catalog->type_count)
        return false;
    *name = catalog->types[i]->name;
    *type = catalog->types[i]->type;
    return true;
}

/* Changes ------------------------------------------------------------------------------------------------ */

/* A private copy with room for one more source and one more type; all references are taken. */
static struct catalog *catalog_copy(const struct catalog *catalog)
{
    struct catalog *copy = catalog_new();
    copy->sources = mem_zalloc(catalog->source_count + 1, sizeof *copy->sources);
    copy->by_name = mem_zalloc(catalog->source_count + 1, sizeof *copy->by_name);
    copy->types = mem_zalloc(catalog->type_count + 1, sizeof *copy->types);
    copy->source_count = catalog->source_count;
    copy->type_count = catalog->type_count;
    for (uint32_t i = 0; i < catalog->source_count; i++) {
        copy->sources[i] = source_ref(catalog->sources[i]);
        copy->by_name[i] = catalog->by_name[i];
    }
    for (uint32_t i = 0; i < catalog->type_count; i++) {
        copy->types[i] = catalog->types[i];
        count_up(&copy->types[i]->refs);
    }
    return copy;
}

const struct catalog *catalog_with_source(const struct catalog *catalog, const struct source *source)
{
    struct catalog *copy = catalog_copy(catalog);
    uint32_t at = name_position(copy, source->name);
    if (at < copy->source_count && str_eq(copy->sources[copy->by_name[at]]->name, source->name)) {
        uint32_t i = copy->by_name[at];
        source_unref(copy->sources[i]);
        copy->sources[i] = source_ref(source);
        return copy;
    }
    memmove(&copy->by_name[at + 1], &copy->by_name[at], (copy->source_count - at) * sizeof *copy->by_name);
    copy->by_name[at] = copy->source_count;
    copy->sources[copy->source_count++] = source_ref(source);
    return copy;
}

const struct catalog *catalog_without_source(const struct catalog *catalog, struct str name)
{
    struct catalog *copy = catalog_copy(catalog);
    uint32_t at = name_position(copy, name);
    if (at == copy->source_count || !str_eq(copy->sources[copy->by_name[at]]->name, name))
        return copy;
    uint32_t gone = copy->by_name[at];
    source_unref(copy->sources[gone]);
    memmove(&copy->sources[gone], &copy->sources[gone + 1],
            (copy->source_count - gone - 1) * sizeof *copy->sources);
    memmove(&copy->by_name[at], &copy->by_name[at + 1],
            (copy->source_count - at - 1) * sizeof *copy->by_name);
    copy->source_count--;
    for (uint32_t i = 0; i < copy->source_count; i++)
        if (copy->by_name[i] > gone)
            copy->by_name[i]--;
    return copy;
}

const struct catalog *catalog_with_type(const struct catalog *catalog, struct str name,
                                        const struct sql_type *type)
{
    struct custom_type *custom = mem_new(struct custom_type);
    custom->refs = 1;
    custom->name = str_dup(name, &custom->arena);
    custom->type = type_dup(type, &custom->arena);
    struct catalog *copy = catalog_copy(catalog);
    int i = type_index(copy, name);
    if (i >= 0) {
        custom_type_unref(copy->types[i]);
        copy->types[i] = custom;
    } else {
        copy->types[copy->type_count++] = custom;
    }
    return copy;
}

const struct catalog *catalog_without_type(const struct catalog *catalog, struct str name)
{
    struct catalog *copy = catalog_copy(catalog);
    int i = type_index(copy, name);
    if (i < 0)
        return copy;
    custom_type_unref(copy->types[i]);
    memmove(&copy->types[i], &copy->types[i + 1], (copy->type_count - (uint32_t)i - 1) * sizeof *copy->types);
    copy->type_count--;
    return copy;
}
