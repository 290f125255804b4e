/* directory.c - whose the data directory is: DIR/meta, written once, read at every start.
 *
 *   format=1                the layout of the directory; another one is refused
 *   cluster.id=...          22 characters, random
 *   node.id=1
 *
 * The caller of the server holds the directory's lock (io_lock_dir).
 */
#include "storage/storage_int.h"

/* DIR/meta: name=value lines; written once. */
static bool read_meta(struct storage *storage, struct str text, const char *path, struct err *err)
{
    struct str rest = text, line;
    bool format_good = false;
    while (str_split(&rest, '\n', &line)) {
        if (str_eq(line, STR("format=1")))
            format_good = true;
        if (str_starts_with(line, STR("cluster.id=")))
            storage->cluster_id = str_dup(str_sub(line, strlen("cluster.id="), line.len), &storage->arena);
    }
    if (!format_good || storage->cluster_id.len != 22)
        return err_set(err, ERR_CORRUPT,
                       "%s is not the description of a data directory that this program can read", path);
    return true;
}

static bool write_meta(struct storage *storage, const char *dir, const char *path, struct err *err)
{
    struct uuid id;
    struct buf text = {0}, word = {0};
    do { /* an id that starts with '-' looks like an option on a command line */
        io_random(storage->io, id.bytes, sizeof id.bytes);
        buf_clear(&word);
        buf_append_uuid(&word, id);
    } while (word.ptr[0] == '-');
    storage->cluster_id = str_dup(buf_str(&word), &storage->arena);
    buf_printf(&text, "format=1\ncluster.id=%s\nnode.id=%d\n", word.ptr, NODE_ID);
    bool good = io_replace_file(storage->io, dir, path, buf_str(&text), err);
    buf_fini(&text);
    buf_fini(&word);
    return good;
}

bool directory_open(struct storage *storage, struct err *err)
{
    enum { META_BYTES_MAX = 4096 };
    char *dir = str_cstr(storage->config->data_dir, &storage->arena);
    struct str path = str_printf(&storage->arena, "%s/meta", dir);
    struct buf text = {0};
    struct err missing;
    if (!io_make_dirs(storage->io, dir, err))
        return false;
    bool good;
    if (io_read_file(storage->io, path.ptr, META_BYTES_MAX, &text, &missing))
        good = read_meta(storage, buf_str(&text), path.ptr, err);
    else if (missing.code == ERR_NOT_FOUND)
        good = write_meta(storage, dir, path.ptr, err);
    else
        good = err_set(err, missing.code, "%s", missing.text);
    buf_fini(&text);
    return good;
}
