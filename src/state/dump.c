/* dump.c - the journal and the rows of RocksDB as items, read-only: `rialto dump state`.
 *
 *   journal   header, entry, its operations, entry, ...      a damaged entry: the next place where one with the right
 *                                                            checksum begins
 *   db        row by row in the order of keys: store id, key bytes, row bytes
 *
 * The journal is one file that is read whole: it is started anew when it is larger than 64 MiB. Names of stores come
 * from the journal, whose first entry lists them all.
 */
#include "state/state_int.h"

#include <stdio.h>

enum { JOURNAL_READ_MAX = 1 << 30, PATH_BYTES = 4096 };

struct state_dump {
    struct describe *out;
    struct map names; /* store id (its 4 bytes) -> name, in the arena */
    struct arena arena;
    uint64_t damaged;
};

static const char *const op_names[] = {
    [OP_PUT] = "put",          [OP_DELETE] = "delete",       [OP_DELETE_RANGE] = "delete_range",
    [OP_NUMBER] = "number",    [OP_NO_NUMBER] = "no_number", [OP_STORE] = "store",
    [OP_NO_STORE] = "no_store"};

/* The store of a key of RocksDB, and what follows its id. */
static void tell_key(struct state_dump *dump, struct str key, const char *name)
{
    if (key.len < 4) {
        describe_text(dump->out, name, key);
        return;
    }
    const struct str *store = map_get(&dump->names, str_sub(key, 0, 4));
    describe_number(dump->out, "store_id", load_be32(key.ptr));
    describe_text(dump->out, "store", store != NULL ? *store : STR_NULL);
    describe_text(dump->out, name, str_sub(key, 4, SIZE_MAX));
}

static void note_store(struct state_dump *dump, const struct op_view *op)
{
    char id[4];
    struct str *name = arena_new(&dump->arena, struct str);
    *name = str_dup(op->a, &dump->arena);
    store_be32(id, (uint32_t)op->number);
    map_put(&dump->names, str_of(id, sizeof id), name);
}

static void tell_op(struct state_dump *dump, int64_t at, const struct op_view *op)
{
    struct describe *out = dump->out;
    describe_begin(out, at, 1, op_names[op->op]);
    switch (op->op) {
    case OP_PUT:
        tell_key(dump, op->a, "key");
        describe_text(out, "row", op->b);
        break;
    case OP_DELETE:
        tell_key(dump, op->a, "key");
        break;
    case OP_DELETE_RANGE:
        tell_key(dump, op->a, "from");
        tell_key(dump, op->b, "to");
        break;
    case OP_NUMBER:
        describe_text(out, "name", op->a);
        describe_number(out, "value", op->number);
        break;
    case OP_STORE:
        note_store(dump, op);
        describe_text(out, "name", op->a);
        describe_number(out, "store_id", op->number);
        break;
    case OP_NO_NUMBER:
    case OP_NO_STORE:
        describe_text(out, "name", op->a);
        break;
    }
    describe_end(out);
}

static void tell_entry(struct state_dump *dump, const char *file, struct str whole,
                       const struct journal_entry *entry)
{
    struct describe *out = dump->out;
    describe_begin(out, whole.ptr - file, 0, "entry");
    describe_number(out, "bytes", (int64_t)whole.len);
    describe_hex32(out, "crc", load_be32(whole.ptr + 4));
    describe_check(out, true, NULL);
    describe_number(out, "sequence", (int64_t)entry->seq);
    describe_number(out, "producer_id", entry->pid);
    describe_number(out, "producer_epoch", entry->epoch);
    describe_end(out);
    struct str rest = entry->ops;
    struct op_view op;
    bool bad;
    for (const char *at = rest.ptr; op_next(&rest, &op, &bad); at = rest.ptr)
        tell_op(dump, at - file, &op);
    if (bad) {
        dump->damaged++;
        describe_damage(out, rest.ptr - file, 1, rest.len, "no operation");
    }
}

static void tell_entries(struct state_dump *dump, struct str bytes)
{
    struct str rest = str_sub(bytes, JOURNAL_HEADER_BYTES, SIZE_MAX);
    struct journal_entry entry;
    while (rest.len != 0) {
        struct str before = rest;
        if (journal_next(&rest, &entry)) {
            tell_entry(dump, bytes.ptr, str_of(before.ptr, before.len - rest.len), &entry);
            continue;
        }
        do
            rest = str_sub(rest, 1, SIZE_MAX);
        while (rest.len != 0 && !journal_next(&(struct str){rest.ptr, rest.len}, &entry));
        dump->damaged++;
        describe_damage(dump->out, before.ptr - bytes.ptr, 0, before.len - rest.len,
                        rest.len != 0 ? "no entry" : "no entry, or one whose write was cut off");
    }
}

static bool dump_journal(struct state_dump *dump, const char *path, struct io *io, struct err *err)
{
    struct buf bytes = {0};
    struct err why = {0};
    bool ok = io_read_file(io, path, JOURNAL_READ_MAX, &bytes, err);
    if (ok) {
        bool good = journal_check_header(buf_str(&bytes), path, &why);
        dump->damaged += !good;
        describe_begin(dump->out, 0, 0, "journal");
        describe_cstr(dump->out, "path", path);
        describe_number(dump->out, "bytes", (int64_t)bytes.len);
        describe_check(dump->out, good, why.text);
        describe_end(dump->out);
        tell_entries(dump, buf_str(&bytes));
    }
    buf_fini(&bytes);
    return ok;
}

static bool dump_rows(struct state_dump *dump, const char *path, struct err *err)
{
    struct db *db = db_open_for_dump(path, err);
    if (db == NULL)
        return false;
    describe_begin(dump->out, -1, 0, "db");
    describe_cstr(dump->out, "path", path);
    describe_end(dump->out);
    rocksdb_iterator_t *it = db_iterator(db);
    for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        struct str key = db_iter_key(it), value = db_iter_value(it);
        bool sequence = key.len == 5 && load_be32(key.ptr) == 0;
        describe_begin(dump->out, -1, 1, sequence ? "applied" : "row");
        if (sequence && value.len == 8) {
            describe_number(dump->out, "sequence", (int64_t)load_be64(value.ptr));
        } else {
            tell_key(dump, key, "key");
            describe_text(dump->out, "row", value);
        }
        describe_end(dump->out);
    }
    bool ok = db_iter_ok(it, err);
    rocksdb_iter_destroy(it);
    db_close(db);
    return ok;
}

bool state_dump(const char *path, struct io *io, struct describe *out, uint64_t *damaged, struct err *err)
{
    struct state_dump dump = {.out = out};
    struct io_stat st;
    char journal[PATH_BYTES], rows[PATH_BYTES];
    int rc = io_stat(io, path, &st);
    if (rc < 0)
        return err_set_errno(err, -rc, "%s: cannot be looked at", path);
    bool ok = true;
    if (!st.is_dir) {
        ok = dump_journal(&dump, path, io, err);
    } else {
        snprintf(journal, sizeof journal, "%s/journal", path);
        snprintf(rows, sizeof rows, "%s/db", path);
        ok = dump_journal(&dump, journal, io, err) &&
             (io_stat(io, rows, &st) < 0 || dump_rows(&dump, rows, err));
    }
    *damaged += dump.damaged;
    map_fini(&dump.names);
    arena_fini(&dump.arena);
    return ok;
}
