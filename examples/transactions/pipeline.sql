-- Ten users pay in a shop; what did each of them pay, and how often, in every three seconds?
--
-- Topic `transactions`: the record key is the user id; the value is JSON (user_id, amount, currency, merchant, city, card, ts).
CREATE STREAM IF NOT EXISTS transactions (
    user_id  VARCHAR KEY,
    amount   BIGINT,
    currency VARCHAR,
    merchant VARCHAR,
    city     VARCHAR,
    card     VARCHAR,
    ts       BIGINT
) WITH (KAFKA_TOPIC = 'transactions', VALUE_FORMAT = 'JSON', PARTITIONS = 2, TIMESTAMP = 'ts');

-- One row per user and window, updated as records arrive; kept for look-ups and written to topic `window_transactions`.
CREATE TABLE IF NOT EXISTS window_transactions
    WITH (KAFKA_TOPIC = 'window_transactions', VALUE_FORMAT = 'JSON') AS
SELECT user_id,
       COUNT(*)    AS payments,
       SUM(amount) AS total
FROM transactions
WINDOW TUMBLING (SIZE 3 SECONDS)
GROUP BY user_id
EMIT CHANGES;
