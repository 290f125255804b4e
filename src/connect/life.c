/* life.c - the life cycle of connectors and tasks, as a table. */
#include "connect/connect_int.h"

static const char *const names[STATE_COUNT] = {
    [STATE_UNASSIGNED] = "UNASSIGNED", [STATE_RUNNING] = "RUNNING",       [STATE_PAUSED] = "PAUSED",
    [STATE_FAILED] = "FAILED",         [STATE_RESTARTING] = "RESTARTING", [STATE_STOPPED] = "STOPPED",
};

/* A failed one only goes on by a restart or a new start; pausing and stopping do not hide the failure of a task that
 * still exists. */
static const uint8_t next[STATE_COUNT][EVENT_COUNT] = {
    [STATE_UNASSIGNED] = {[EVENT_START] = STATE_RUNNING,
                          [EVENT_PAUSE] = STATE_PAUSED,
                          [EVENT_FAIL] = STATE_FAILED,
                          [EVENT_RESTART] = STATE_RESTARTING,
                          [EVENT_STOP] = STATE_STOPPED},
    [STATE_RUNNING] = {[EVENT_START] = STATE_RUNNING,
                       [EVENT_PAUSE] = STATE_PAUSED,
                       [EVENT_FAIL] = STATE_FAILED,
                       [EVENT_RESTART] = STATE_RESTARTING,
                       [EVENT_STOP] = STATE_STOPPED},
    [STATE_PAUSED] = {[EVENT_START] = STATE_RUNNING,
                      [EVENT_PAUSE] = STATE_PAUSED,
                      [EVENT_FAIL] = STATE_FAILED,
                      [EVENT_RESTART] = STATE_RESTARTING,
                      [EVENT_STOP] = STATE_STOPPED},
    [STATE_FAILED] = {[EVENT_START] = STATE_FAILED,
                      [EVENT_PAUSE] = STATE_FAILED,
                      [EVENT_FAIL] = STATE_FAILED,
                      [EVENT_RESTART] = STATE_RESTARTING,
                      [EVENT_STOP] = STATE_STOPPED},
    [STATE_RESTARTING] = {[EVENT_START] = STATE_RUNNING,
                          [EVENT_PAUSE] = STATE_PAUSED,
                          [EVENT_FAIL] = STATE_FAILED,
                          [EVENT_RESTART] = STATE_RESTARTING,
                          [EVENT_STOP] = STATE_STOPPED},
    [STATE_STOPPED] = {[EVENT_START] = STATE_RUNNING,
                       [EVENT_PAUSE] = STATE_PAUSED,
                       [EVENT_FAIL] = STATE_FAILED,
                       [EVENT_RESTART] = STATE_STOPPED,
                       [EVENT_STOP] = STATE_STOPPED},
};

const char *connect_state_name(enum connect_state state)
{
    return names[state];
}

enum connect_state connect_state_next(enum connect_state state, enum connect_event event)
{
    return (enum connect_state)next[state][event];
}
