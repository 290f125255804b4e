/* pull_int.h - a pull query: rows collected from stores, then run through the plan. Private to src/flow. */
#ifndef RIALTO_FLOW_PULL_INT_H
#define RIALTO_FLOW_PULL_INT_H

#include "flow/flow_int.h"

struct pull;

/* NULL with *err. on_rows is called by pull_end and pull_read_topic, on their thread. */
struct pull *pull_new(const struct plan *plan, struct client *client, const struct func_settings *settings,
                      bool (*on_rows)(void *arg, const struct flow_rows *rows), void *arg, struct err *err);
void pull_free(struct pull *pull);

/* Copies the rows that the plan asks for from the task's materialized sink; a task without one gives none. On the thread
 * of the task, while nobody else uses the pull. *found is set when there was such a store. */
bool pull_read_task(struct pull *pull, struct flow_task *task, struct err *err);
bool pull_found(const struct pull *pull);

/* Runs what was collected through the plan. */
bool pull_end(struct pull *pull, struct err *err);

/* PULL_STREAM: one partition, from its start to where it ends now. */
bool pull_read_topic(struct pull *pull, int32_t partition, struct err *err);

#endif
