/* dataset.h - the data set of the SQL cases; needs no Kafka client, so that the bare work reads the same bytes.
 *
 * transactions: key = user id (of 1,000), amounts of 10 to 100 in steps of 10, one millisecond of event time each, every
 * 20th late by up to two seconds; about 115 bytes of JSON. users: one record for each user.
 */
#ifndef BENCH_DATASET_H
#define BENCH_DATASET_H

#include <stddef.h>
#include <stdint.h>

#define DATA_USERS       1000
#define DATA_FIRST_TS    INT64_C(1690000000000)
#define DATA_WINDOW_MS   3000
#define DATA_LATENESS_MS 2000
#define DATA_KEY_MAX     24
#define DATA_VALUE_MAX   512

struct transaction {
    int64_t ts;
    int user_id;
    int amount;
    int merchant;
    char note[41];
};

#ifdef __cplusplus
extern "C" {
#endif

/* The i-th record. The printers write key and value, terminated, and its time; they return the value's length. */
void transaction_at(int64_t i, struct transaction *t);
int transaction_print(int64_t i, char *key, size_t key_size, char *value, size_t value_size, int64_t *ts);
int user_print(int64_t i, char *key, size_t key_size, char *value, size_t value_size, int64_t *ts);

#ifdef __cplusplus
}
#endif
#endif
