/* db.c - the one RocksDB of the process, behind a dozen calls.
 *
 * Keys begin with a store id (4 bytes, big endian); id 0 is ours: the key {0,0,0,0,'s'} holds the number of the last
 * journal entry that was applied. It is written in the same batch as the entry's rows, and all lie in one column
 * family, so what survives a crash is always the rows up to some entry, and the number says which.
 *
 * Its own log is off: the journal is there for that. Any thread.
 */
#include "state/state_int.h"

static const char seq_key[5] = {0, 0, 0, 0, 's'};

/* Takes over RocksDB's message. */
static bool db_fail(char *message, const char *what, struct err *err)
{
    enum err_code code = strstr(message, "No space") != NULL       ? ERR_DISK_FULL
                         : strncmp(message, "Corruption", 10) == 0 ? ERR_CORRUPT
                                                                   : ERR_IO;
    err_set(err, code, "state store: %s: %s", what, message);
    rocksdb_free(message);
    return false;
}

static void db_configure(struct db *db, size_t block_cache_bytes, size_t write_buffer_bytes)
{
    rocksdb_options_t *options = db->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_write_buffer_size(options, write_buffer_bytes / 2);
    rocksdb_options_set_max_write_buffer_number(options, 2);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_open_files(options, 256);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_info_log_level(options, 3 /* errors */);
    rocksdb_options_set_keep_log_file_num(options, 2);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    db->cache = rocksdb_cache_create_lru(block_cache_bytes);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, db->cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
    db->read = rocksdb_readoptions_create();
    db->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(db->write, 1);
}

static bool db_read_seq(struct db *db, struct err *err)
{
    struct buf value = {0};
    bool found;
    bool ok = db_get(db, str_of(seq_key, sizeof seq_key), &value, &found, err);
    if (ok && found && value.len != 8)
        ok = err_set(err, ERR_CORRUPT, "state store: the number of the last entry is damaged");
    else if (ok && found)
        db->seq = load_be64(value.ptr);
    buf_fini(&value);
    return ok;
}

struct db *db_open(const char *path, size_t block_cache_bytes, size_t write_buffer_bytes, struct err *err)
{
    struct db *db = mem_new(struct db);
    char *message = NULL;
    db_configure(db, block_cache_bytes, write_buffer_bytes);
    db->rocks = rocksdb_open(db->options, path, &message);
    if (message != NULL) {
        db_fail(message, path, err);
        db_close(db);
        return NULL;
    }
    if (!db_read_seq(db, err)) {
        db_close(db);
        return NULL;
    }
    return db;
}

struct db *db_open_for_dump(const char *path, struct err *err)
{
    struct db *db = mem_new(struct db);
    char *message = NULL;
    db_configure(db, 1 << 20, 1 << 20);
    rocksdb_options_set_create_if_missing(db->options, 0);
    db->rocks = rocksdb_open_for_read_only(db->options, path, 0, &message);
    if (message == NULL)
        return db;
    db_fail(message, path, err);
    db_close(db);
    return NULL;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    if (db->rocks != NULL)
        rocksdb_close(db->rocks);
    rocksdb_writeoptions_destroy(db->write);
    rocksdb_readoptions_destroy(db->read);
    rocksdb_cache_destroy(db->cache);
    rocksdb_options_destroy(db->options);
    free(db);
}

/* A row of a batch. Eight bytes of the key decide most comparisons without following the pointer. */
struct row_op {
    uint64_t head;         /* bytes of the key after the store id, as a number */
    struct str key, value; /* value: ptr NULL deletes */
    uint32_t store_id, index;
};

static uint64_t key_head(struct str key)
{
    uint8_t head[8] = {0};
    if (key.len > 4)
        memcpy(head, key.ptr + 4, MIN(key.len - 4, sizeof head));
    return load_be64(head);
}

static int row_op_cmp(const void *a, const void *b)
{
    const struct row_op *x = a, *y = b;
    if (x->store_id != y->store_id)
        return x->store_id < y->store_id ? -1 : 1;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    int cmp = str_cmp(x->key, y->key);
    return cmp != 0 ? cmp : x->index < y->index ? -1 : 1;
}

struct row_ops {
    vec(struct row_op) list;
};

/* Rows of a batch go to `rows`; ranges are written at once: they come before the rows of their store and hold none of
 * those that the batch puts. False: unknown bytes. */
static bool sort_out(struct str ops, struct row_ops *rows, rocksdb_writebatch_t *batch)
{
    struct op_view op;
    bool bad;
    while (op_next(&ops, &op, &bad)) {
        if (op.op == OP_DELETE_RANGE)
            rocksdb_writebatch_delete_range(batch, op.a.ptr, op.a.len, op.b.ptr, op.b.len);
        if (op.op == OP_PUT || op.op == OP_DELETE)
            vec_push(&rows->list,
                     (struct row_op){key_head(op.a), op.a, op.op == OP_PUT ? op.b : STR_NULL,
                                     op.a.len >= 4 ? load_be32(op.a.ptr) : 0, (uint32_t)rows->list.len});
        /* Numbers and ids live in the journal's snapshot. */
    }
    return !bad;
}

/* Rows are written in the order of their keys: RocksDB's skip list then goes on from where the last one was. */
static void write_rows(struct row_ops *rows, rocksdb_writebatch_t *batch)
{
    if (rows->list.len > 1)
        qsort(rows->list.at, rows->list.len, sizeof *rows->list.at, row_op_cmp);
    for (size_t i = 0; i < rows->list.len; i++) {
        const struct row_op *row = &rows->list.at[i];
        if (str_is_null(row->value))
            rocksdb_writebatch_delete(batch, row->key.ptr, row->key.len);
        else
            rocksdb_writebatch_put(batch, row->key.ptr, row->key.len, row->value.ptr, row->value.len);
    }
}

bool db_apply(struct db *db, struct str ops, uint64_t seq, struct err *err)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    struct row_ops rows = {0};
    char number[8], *message = NULL;
    bool good = sort_out(ops, &rows, batch);
    write_rows(&rows, batch);
    vec_fini(&rows.list);
    store_be64(number, seq);
    rocksdb_writebatch_put(batch, seq_key, sizeof seq_key, number, sizeof number);
    if (good)
        rocksdb_write(db->rocks, db->write, batch, &message);
    rocksdb_writebatch_destroy(batch);
    if (!good)
        return err_set(err, ERR_CORRUPT, "state journal: entry %" PRIu64 " holds an unknown operation", seq);
    return message == NULL || db_fail(message, "write", err);
}

bool db_flush(struct db *db, struct err *err)
{
    char *message = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(options, 1);
    rocksdb_flush(db->rocks, options, &message);
    rocksdb_flushoptions_destroy(options);
    return message == NULL || db_fail(message, "flush", err);
}

bool db_get(struct db *db, struct str key, struct buf *out, bool *found, struct err *err)
{
    char *message = NULL;
    rocksdb_pinnableslice_t *slice = rocksdb_get_pinned(db->rocks, db->read, key.ptr, key.len, &message);
    if (message != NULL)
        return db_fail(message, "read", err);
    *found = slice != NULL;
    if (slice != NULL) {
        size_t len;
        const char *value = rocksdb_pinnableslice_value(slice, &len);
        buf_append(out, value, len);
        rocksdb_pinnableslice_destroy(slice);
    }
    return true;
}

rocksdb_iterator_t *db_iterator(struct db *db)
{
    return rocksdb_create_iterator(db->rocks, db->read);
}

bool db_iter_ok(const rocksdb_iterator_t *it, struct err *err)
{
    char *message = NULL;
    rocksdb_iter_get_error(it, &message);
    return message == NULL || db_fail(message, "scan", err);
}
