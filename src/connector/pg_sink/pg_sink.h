/* pg_sink.h - the sink that writes records to PostgreSQL tables. */
#ifndef RIALTO_CONNECTOR_PG_SINK_PG_SINK_H
#define RIALTO_CONNECTOR_PG_SINK_PG_SINK_H

#include "connect/connect.h"

/* "PostgresSink", and the names of Kafka Connect's JDBC sinks with a jdbc:postgresql: URL. */
extern const struct connector_class pg_sink_class;

#endif
