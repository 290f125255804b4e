/* fuzz_topic_apply.c - any bytes as records of __cluster_metadata: taken or refused, and a snapshot brings the state back
 * (state_records.h). */
#include <stddef.h>
#include <stdint.h>

#include "topic/topic.h"
#include "state_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"TopicKey"}, *const values[] = {"TopicValue"};
    struct state_input in = {data, data + size};
    struct topics *state = topics_new(), *fresh = topics_new();
    log_level_set(LOG_OFF);
    state_apply_all(&topics_class, state, &in, keys, COUNT_OF(keys), values, COUNT_OF(values));
    state_check_snapshot(&topics_class, state, fresh);
    topics_free(state);
    topics_free(fresh);
    return 0;
}
