import java.util.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;

/**
 * Kafka Streams' word count, for full_streams.py and full_streams_groups.py: ADDRESS STATE_DIRECTORY GUARANTEE [NAME=VALUE...]. Lines
 * of "words-in" are split, repartitioned by word and counted; every count goes to "words-out". Ends when its input does.
 */
public class PeerStreams {
    public static void main(String[] args) throws Exception {
        var props = new Properties();
        props.putAll(Map.of("application.id", "word-count", "bootstrap.servers", args[0], "state.dir", args[1], "processing.guarantee",
                            args[2], "commit.interval.ms", "100", "statestore.cache.max.bytes", "0", "num.stream.threads", "2"));
        props.putAll(Map.of("consumer.auto.offset.reset", "earliest", "default.key.serde", Serdes.String().getClass().getName(),
                            "default.value.serde", Serdes.String().getClass().getName(), "reconnect.backoff.max.ms", "300"));
        for (var config : Arrays.asList(args).subList(3, args.length))
            props.put(config.split("=", 2)[0], config.split("=", 2)[1]);
        if (!props.containsKey("group.protocol")) // of the classic protocol; else the group's own
            props.putAll(Map.of("consumer.session.timeout.ms", "6000", "consumer.heartbeat.interval.ms", "500"));
        var builder = new StreamsBuilder();
        builder.<String, String>stream("words-in")
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.as("counts"))
            .toStream()
            .to("words-out", Produced.with(Serdes.String(), Serdes.Long()));
        try (var streams = new KafkaStreams(builder.build(), props)) {
            streams.setUncaughtExceptionHandler(thrown -> {
                thrown.printStackTrace();
                return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.REPLACE_THREAD;
            });
            streams.start();
            while (System.in.read() >= 0)
                continue;
        }
    }
}
