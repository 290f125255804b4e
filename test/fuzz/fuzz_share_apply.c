/* fuzz_share_apply.c - any bytes as records of __share_group_state: taken or refused, and a snapshot brings the state back
 * (state_records.h). */
#include <stddef.h>
#include <stdint.h>

#include "share/share.h"
#include "state_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t limit(void *arg, struct str group, enum share_limit which)
{
    return 100;
}

static void freed(void *arg, struct str group)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"ShareSnapshotKey", "ShareUpdateKey"};
    static const char *const values[] = {"ShareSnapshotValue", "ShareUpdateValue"};
    static const struct share_owner owner = {NULL, limit, freed};
    struct state_input in = {data, data + size};
    struct shares *state = shares_new(&owner), *fresh = shares_new(&owner);
    log_level_set(LOG_OFF);
    state_apply_all(&shares_class, state, &in, keys, COUNT_OF(keys), values, COUNT_OF(values));
    state_check_snapshot(&shares_class, state, fresh);
    shares_free(state);
    shares_free(fresh);
    return 0;
}
