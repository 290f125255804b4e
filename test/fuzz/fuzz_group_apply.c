/* fuzz_group_apply.c - any bytes as records of __consumer_offsets: taken or refused, and a snapshot brings the state back
 * (state_records.h). */
#include <stddef.h>
#include <stdint.h>

#include "group/group.h"
#include "state_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"OffsetCommitKey",
                                       "GroupMetadataKey",
                                       "ShareGroupMemberMetadataKey",
                                       "ShareGroupMetadataKey",
                                       "ShareGroupTargetAssignmentMetadataKey",
                                       "ShareGroupTargetAssignmentMemberKey",
                                       "ShareGroupCurrentMemberAssignmentKey",
                                       "StreamsGroupMemberMetadataKey",
                                       "StreamsGroupMetadataKey",
                                       "StreamsGroupTargetAssignmentMetadataKey",
                                       "StreamsGroupTargetAssignmentMemberKey",
                                       "StreamsGroupCurrentMemberAssignmentKey",
                                       "StreamsGroupTopologyKey"};
    static const char *const values[] = {"OffsetCommitValue",
                                         "GroupMetadataValue",
                                         "ShareGroupMemberMetadataValue",
                                         "ShareGroupMetadataValue",
                                         "ShareGroupTargetAssignmentMetadataValue",
                                         "ShareGroupTargetAssignmentMemberValue",
                                         "ShareGroupCurrentMemberAssignmentValue",
                                         "StreamsGroupMemberMetadataValue",
                                         "StreamsGroupMetadataValue",
                                         "StreamsGroupTargetAssignmentMetadataValue",
                                         "StreamsGroupTargetAssignmentMemberValue",
                                         "StreamsGroupCurrentMemberAssignmentValue",
                                         "StreamsGroupTopologyValue"};
    struct state_input in = {data, data + size};
    static const struct group_options options = {.session_timeout_ms_min = 6000,
                                                 .session_timeout_ms_max = 1800000};
    struct groups *state = groups_new(&options), *fresh = groups_new(&options);
    log_level_set(LOG_OFF);
    state_apply_all(&groups_class, state, &in, keys, COUNT_OF(keys), values, COUNT_OF(values));
    state_check_snapshot(&groups_class, state, fresh);
    groups_free(state);
    groups_free(fresh);
    return 0;
}
