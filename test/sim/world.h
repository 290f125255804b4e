/* world.h - a run: everything that follows from one seed. */
#ifndef RIALTO_TEST_SIM_WORLD_H
#define RIALTO_TEST_SIM_WORLD_H

#include "base/base.h"

struct run_options {
    uint64_t seed;
    bool verbose;
    const char *save_dir; /* where the disk is copied to when the run fails; NULL: nowhere */
    bool sync_lies;       /* a fault that must be found: fdatasync does nothing */
};

struct run_result {
    uint64_t trace_hash, switches, restarts, disk_faults;
    uint64_t acked, seen, trimmed, compacted, lost; /* records */
    int64_t virtual_us;
};

/* Runs to the end, or ends the process (sim_fail). Once a process: fork for the next. */
void run_seed(const struct run_options *options, struct run_result *result);

#endif
