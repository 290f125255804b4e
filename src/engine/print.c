/* print.c - PRINT 'topic': the records of a topic as lines of text, as they come.
 *
 *   select_open    control thread    readers of all partitions, header, a thread of its own
 *   print_run      that thread       some records -> formats narrowed, then lines -> on_rows     until LIMIT or the close
 *   print_close    control thread    stopped, joined, freed
 *
 *     Key format: JSON or KAFKA_STRING                                    again whenever one of the two has changed
 *     Value format: JSON or KAFKA_STRING
 *     rowtime: 2022/03/18 15:53:22.989 Z, key: 18, value: {"a":1}, partition: 0
 *
 * (R1) Formats are narrowed by all records of a piece before the first of them is printed, so that they change little.
 * (R2) The receiver's wish for a pause stops the thread between two pieces; what is not read stays in the log. Its word that it
 *      can take more may come before the thread has heard of the wish: words are counted, so that none is lost.
 * (R3) `lock` guards the flags only and is held with no other lock; readers' notifications take it.
 */
#include "engine/print_int.h"

#include "type/time_format.h"

enum { PIECE_RECORDS = 128 };

struct print {
    struct engine_query *query;
    struct thread thread;
    struct client_reader **readers;
    int32_t count;
    int64_t interval, limit; /* limit -1: none */
    int64_t seen, printed;
    struct print_guess key, value;
    struct buf names; /* as they were told last */
    struct arena lines;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool more, paused, stopping;
    uint64_t resumes; /* how often the receiver has said that it can take more */
};

static void on_notify(void *arg)
{
    struct print *print = arg;
    pthread_mutex_lock(&print->lock);
    print->more = true;
    pthread_cond_signal(&print->changed);
    pthread_mutex_unlock(&print->lock);
}

/* Lines -------------------------------------------------------------------------------------------------------------- */

static void put_time(struct buf *out, int64_t ms)
{
    if (ms < 0) {
        buf_append_cstr(out, "N/A");
        return;
    }
    struct time_civil day = time_civil_of(ms / 86400000);
    int64_t rest = ms % 86400000;
    buf_printf(out, "%04" PRId64 "/%02d/%02d %02" PRId64 ":%02" PRId64 ":%02" PRId64 ".%03" PRId64 " Z",
               (int64_t)day.year, (int)day.month, (int)day.day, rest / 3600000, rest / 60000 % 60,
               rest / 1000 % 60, rest % 1000);
}

static struct value line_of(struct print *print, struct buf *text)
{
    struct value line = value_str(str_dup(buf_str(text), &print->lines));
    buf_clear(text);
    return line;
}

static struct value record_line(struct print *print, const struct record *rec, int32_t partition,
                                struct buf *text)
{
    buf_append_cstr(text, "rowtime: ");
    put_time(text, rec->timestamp_ms);
    buf_append_cstr(text, ", key: ");
    print_guess_put(&print->key, rec->key, text);
    buf_append_cstr(text, ", value: ");
    print_guess_put(&print->value, rec->value, text);
    buf_printf(text, ", partition: %d", partition);
    return line_of(print, text);
}

/* The two lines of formats, when they are others than before. */
static uint32_t format_lines(struct print *print, struct value *lines, struct buf *text)
{
    struct buf names = {0};
    buf_append_cstr(&names, "Key format: ");
    print_guess_names(&print->key, &names);
    size_t first = names.len;
    buf_append_cstr(&names, "Value format: ");
    print_guess_names(&print->value, &names);
    bool changed = !str_eq(buf_str(&names), buf_str(&print->names));
    if (changed) {
        buf_append_str(text, str_sub(buf_str(&names), 0, first));
        lines[0] = line_of(print, text);
        buf_append_str(text, str_sub(buf_str(&names), first, SIZE_MAX));
        lines[1] = line_of(print, text);
        buf_clear(&print->names);
        buf_append_str(&print->names, buf_str(&names));
    }
    buf_fini(&names);
    return changed ? 2 : 0;
}

static uint64_t resumes_of(struct print *print)
{
    pthread_mutex_lock(&print->lock);
    uint64_t resumes = print->resumes;
    pthread_mutex_unlock(&print->lock);
    return resumes;
}

/* The receiver is full; unless it has said in between that it is not any more. */
static void rest_after(struct print *print, uint64_t resumes)
{
    pthread_mutex_lock(&print->lock);
    print->paused = print->resumes == resumes;
    pthread_mutex_unlock(&print->lock);
}

/* False: the query is over. */
static bool print_piece(struct print *print, const struct record *recs, size_t n, int32_t partition)
{
    struct value lines[PIECE_RECORDS + 2];
    struct buf text = {0};
    for (size_t i = 0; i < n; i++) {
        print_guess_narrow(&print->key, recs[i].key);
        print_guess_narrow(&print->value, recs[i].value);
    }
    arena_reset(&print->lines);
    uint32_t formats = format_lines(print, lines, &text), count = formats;
    for (size_t i = 0; i < n && print->printed != print->limit; i++)
        if (print->seen++ % print->interval == 0) {
            lines[count++] = record_line(print, &recs[i], partition, &text);
            print->printed++;
        }
    buf_fini(&text);
    const struct value *column = lines;
    uint64_t resumes = resumes_of(print);
    if (count > formats && !select_rows(print->query, &column, count))
        rest_after(print, resumes);
    if (print->printed != print->limit)
        return true;
    select_end(print->query, true, NULL);
    return false;
}

/* The thread ----------------------------------------------------------------------------------------------------------- */

static bool must_rest(struct print *print)
{
    pthread_mutex_lock(&print->lock);
    bool rest = print->paused || print->stopping;
    print->more |= rest; /* there may be more in the readers */
    pthread_mutex_unlock(&print->lock);
    return rest;
}

/* Everything that this partition has now. False: the query is over. */
static bool print_partition(struct print *print, int32_t partition)
{
    struct client_reader *reader = print->readers[partition];
    struct record recs[PIECE_RECORDS];
    struct err err;
    while (!must_rest(print)) {
        bool polled = client_reader_poll(reader, &err);
        if (!polled && err.code == ERR_OFFSET_OUT_OF_RANGE) /* retention was faster */
            polled = client_reader_seek(reader, CLIENT_EARLIEST, &err) && client_reader_poll(reader, &err);
        if (!polled) {
            select_end(print->query, false, &err);
            return false;
        }
        size_t n = client_reader_take(reader, recs, PIECE_RECORDS);
        if (n == 0)
            return true;
        if (!print_piece(print, recs, n, partition))
            return false;
    }
    return true;
}

static void print_run(void *arg)
{
    struct print *print = arg;
    bool going = true;
    while (going) {
        pthread_mutex_lock(&print->lock);
        while (!print->stopping && (print->paused || !print->more))
            pthread_cond_wait(&print->changed, &print->lock);
        print->more = false;
        going = !print->stopping;
        pthread_mutex_unlock(&print->lock);
        for (int32_t i = 0; going && i < print->count; i++)
            going = print_partition(print, i);
    }
}

/* Life ---------------------------------------------------------------------------------------------------------------- */

void print_resume(struct print *print)
{
    pthread_mutex_lock(&print->lock);
    print->paused = false;
    print->resumes++;
    pthread_cond_signal(&print->changed);
    pthread_mutex_unlock(&print->lock);
}

static void print_free(struct print *print)
{
    for (int32_t i = 0; i < print->count; i++)
        client_reader_free(print->readers[i]);
    free(print->readers);
    buf_fini(&print->names);
    arena_fini(&print->lines);
    pthread_cond_destroy(&print->changed);
    pthread_mutex_destroy(&print->lock);
    free(print);
}

void print_close(struct print *print)
{
    pthread_mutex_lock(&print->lock);
    print->stopping = true;
    pthread_cond_signal(&print->changed);
    pthread_mutex_unlock(&print->lock);
    thread_join(&print->thread);
    print_free(print);
}

/* What ksqlDB says, with the names that differ only in case. */
static bool refuse_topic(struct client *client, struct str name, struct arena *arena, struct err *err)
{
    struct buf near = {0};
    size_t count;
    struct client_topic *topics = client_topic_list(client, &count, arena);
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(topics[i].name, name))
            buf_printf(&near, "%s\n\t%.*s", near.len == 0 ? "\nDid you mean:" : "", STR_ARG(topics[i].name));
    err_set(err, ERR_STATEMENT,
            "Could not find topic '%.*s', or the KSQL user does not have permissions to list the topic. "
            "Topic names "
            "are case-sensitive.%.*s",
            STR_ARG(name), (int)near.len, near.len != 0 ? near.ptr : "");
    buf_fini(&near);
    return false;
}

static bool open_readers(struct print *print, const struct ast_stmt *stmt, struct err *err)
{
    struct client *client = print->query->engine->options.client;
    int32_t count = client_partition_count(client, stmt->name);
    if (count < 0)
        return refuse_topic(client, stmt->name, &print->query->arena, err);
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED,
                                            .offset = stmt->from_beginning ? CLIENT_EARLIEST : CLIENT_LATEST,
                                            .notify = on_notify,
                                            .arg = print};
    print->readers = mem_zalloc((size_t)count + 1, sizeof(struct client_reader *));
    for (; print->count < count; print->count++) {
        print->readers[print->count] = client_reader_new(client, stmt->name, print->count, &options, err);
        if (print->readers[print->count] == NULL)
            return false;
    }
    return true;
}

struct print *print_open(struct engine_query *query, const struct ast_stmt *stmt, struct err *err)
{
    struct print *print = mem_new(struct print);
    print->query = query;
    print->interval = MAX(stmt->interval, 1);
    print->limit = stmt->limit;
    print->more = true;
    print_guess_init(&print->key, true);
    print_guess_init(&print->value, false);
    pthread_mutex_init(&print->lock, NULL);
    pthread_cond_init(&print->changed, NULL);
    if (open_readers(print, stmt, err))
        return print;
    print_free(print);
    return NULL;
}

bool print_start(struct print *print, struct err *err)
{
    if (thread_start(&print->thread, "print", print_run, print, err))
        return true;
    print_free(print);
    return false;
}
