/* partition.h - one partition at work: appends, waits for durability, watches for more to read.
 *
 *   append --> written --sync shared by all who wait--> durable: waits are told, watches hear that there is more to see
 *
 * Partitions come from storage.h as references. Functions marked *blocking* wait for the disk and may not be called on a net
 * thread; the others may be called on any. Callbacks come on any thread (a net thread, a pool thread, the appender's), must
 * not block and must not call back into the same partition; they typically post a mail.
 */
#ifndef RIALTO_STORAGE_PARTITION_H
#define RIALTO_STORAGE_PARTITION_H

#include "base/base.h"
#include "log/log.h"
#include "record/record.h"

struct partition;

struct partition *partition_ref(struct partition *part);
/* NULL is allowed. The last reference closes the log, or deletes it when the topic is gone. */
void partition_unref(struct partition *part);

struct str partition_topic(const struct partition *part);
int32_t partition_id(const struct partition *part);

/* The log below, for log_read, log_slice_read, log_offset_for_time, ...: valid as long as the reference. Appends
 * go through the functions here, so that waiters wake. */
struct log *partition_log(const struct partition *part);

/* Does an acknowledgement wait for a sync, and see readers only what is synced? */
bool partition_is_synced(const struct partition *part);

/* Offsets: first kept; next written; what consumers may read up to (durable end with STORAGE_FSYNC); below the
 * first open transaction. */
int64_t partition_start(struct partition *part);
int64_t partition_end(struct partition *part);
int64_t partition_hw(struct partition *part);
int64_t partition_lso(struct partition *part);

/* True after the topic was deleted: no more appends, no more reads. */
bool partition_is_deleted(struct partition *part);

/* Counts bytes that a consumer was given. */
void partition_count_fetched(struct partition *part, int64_t bytes);

struct partition_appended {
    int64_t base_offset;  /* of the first record */
    int64_t end_offset;   /* after the last record: what to wait for */
    int64_t append_ms;    /* as struct log_append_result has it */
    bool duplicate;       /* an idempotent retry: base_offset is that of the first time */
    uint32_t incarnation; /* of the log: a failed sync drops records and their offsets are used again */
};

/* Appends one finished record batch, as a produce request would (offsets and leader epoch are set in place in
 * `batch`). Returns before it is durable. Internal topics are allowed here. */
bool partition_append(struct partition *part, char *batch, size_t size, struct partition_appended *out,
                      struct err *err);

/* Several of any origin, in order, with all that the log says (log_append_all); wakes whom it concerns. A sync that is due starts
 * at once, or (`held` not NULL) when the caller gives that list to partition_start_syncs(), which it does soon and whatever
 * happens. */
void partition_append_all(struct partition *part, struct log_append *const *appends, size_t count,
                          struct list *held);

/* Starts the syncs that appends have put into the list; it is empty then. */
void partition_start_syncs(struct list *held);

/* Appends the marker that ends a transaction of (pid, epoch) here. Returns before it is durable. */
bool partition_append_marker(struct partition *part, int64_t pid, int16_t epoch, enum marker marker,
                             int32_t coordinator_epoch, struct partition_appended *out, struct err *err);

/* Somebody who waits for durability. The memory is the waiter's until fn was called, once. With STORAGE_OS fn is called
 * at once unless even_os. */
struct partition_wait {
    void (*fn)(struct partition_wait *wait, const struct err *failure); /* failure NULL: durable */
    bool even_os;                                                       /* waits with STORAGE_OS too */
    /* Set by the functions below. */
    int64_t offset;
    uint32_t incarnation;
    bool any_incarnation;
    struct list link;
};

/* Waits until what was appended is durable: this is what an acknowledgement asks. */
void partition_when_appended(struct partition *part, const struct partition_appended *appended,
                             struct partition_wait *wait);

/* The same, blocking. */
bool partition_wait_appended(struct partition *part, const struct partition_appended *appended,
                             struct err *err);

/* Waits until the partition is durable up to an offset, whoever wrote what is there. Fails when the log ends before it. */
void partition_when_durable(struct partition *part, int64_t offset, struct partition_wait *wait);

/* The same, blocking, and with STORAGE_OS too. */
bool partition_wait_durable(struct partition *part, int64_t offset, struct err *err);

/* What a watch wants to hear of. */
enum partition_watch_event {
    PARTITION_WATCH_END = 1,     /* records were appended: more for those who read beyond the hw */
    PARTITION_WATCH_VISIBLE = 2, /* the hw or the lso moved: more for consumers */
    PARTITION_WATCH_STATE = 4,   /* the start moved, or the topic was deleted; always told */
};

/* Somebody who wants to know that there is more to read. fn is called often, under the partition's lock: set a flag, post one
 * mail. After partition_watch_remove has returned fn is not called any more. */
struct partition_watch {
    void (*fn)(struct partition_watch *watch);
    int events; /* enum partition_watch_event */
    struct list link;
};
void partition_watch_add(struct partition *part, struct partition_watch *watch);
void partition_watch_remove(struct partition *part, struct partition_watch *watch);

/* Tells watches: for who has moved the start by the log itself. */
void partition_notify(struct partition *part, int events);

/* After log_delete_before: the files of what it has removed go when file.delete.delay.ms is over. */
void partition_reap(struct partition *part);

#endif
