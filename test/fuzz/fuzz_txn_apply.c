/* fuzz_txn_apply.c - any bytes as records of __transaction_state: taken or refused, and a snapshot brings the state back
 * (state_records.h). */
#include <stddef.h>
#include <stdint.h>

#include "txn/txn.h"
#include "state_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"TransactionLogKey", "ProducerIdsKey"}, *const values[] = {
                                                                                   "TransactionLogValue",
                                                                                   "ProducerIdsValue"};
    struct state_input in = {data, data + size};
    struct txns *state = txns_new(), *fresh = txns_new();
    log_level_set(LOG_OFF);
    state_apply_all(&txns_class, state, &in, keys, COUNT_OF(keys), values, COUNT_OF(values));
    state_check_snapshot(&txns_class, state, fresh);
    txns_free(state);
    txns_free(fresh);
    return 0;
}
