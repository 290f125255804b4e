import java.io.FileReader;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.resource.*;
import org.apache.kafka.common.serialization.*;

/**
 * The Java client's part of test_security.py: SecureClient PROPERTIES STEP ARGUMENTS...; prints "fact NAME VALUE" lines.
 *   talk TOPIC N        N records there and back
 *   slow TOPIC N MS     N records with MS between them on one producer, each acknowledged
 *   admin USER          makes, lists and deletes a user and a rule
 */
public class SecureClient {
    static Properties props = new Properties();

    static void fact(String name, Object value) {
        System.out.println("fact " + name + " " + value);
    }

    static KafkaProducer<String, String> producer() {
        return new KafkaProducer<>(props, new StringSerializer(), new StringSerializer());
    }

    static void talk(String topic, int count) throws Exception {
        try (var producer = producer()) {
            for (int i = 0; i < count; i++)
                producer.send(new ProducerRecord<>(topic, 0, null, "java-" + i));
            producer.flush();
        }
        int seen = 0;
        try (var consumer = new KafkaConsumer<String, String>(props, new StringDeserializer(), new StringDeserializer())) {
            var part = List.of(new TopicPartition(topic, 0));
            consumer.assign(part);
            consumer.seekToBeginning(part);
            for (int turn = 0; turn < 100 && seen < count; turn++)
                for (var record : consumer.poll(Duration.ofMillis(200)))
                    seen += record.value().startsWith("java-") ? 1 : 0;
        }
        fact("seen", seen);
    }

    static void slow(String topic, int count, int pauseMs) throws Exception {
        try (var producer = producer()) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, 0, null, "slow-" + i)).get();
                Thread.sleep(pauseMs);
            }
            for (var metric : producer.metrics().entrySet())
                if (metric.getKey().name().equals("reauthentication-latency-max"))
                    fact("reauthenticated", !metric.getValue().metricValue().equals(Double.NaN));
        }
        fact("sent", count);
    }

    static void admin(String user) throws Exception {
        try (var admin = Admin.create(props)) {
            var info = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096);
            admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(user, info, "made-by-java"))).all().get();
            fact("user", admin.describeUserScramCredentials(List.of(user)).description(user).get().credentialInfos());
            admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512))).all().get();
            fact("users", new TreeSet<>(admin.describeUserScramCredentials().users().get()));
            var rule = new AclBinding(new ResourcePattern(ResourceType.TOPIC, "java", PatternType.PREFIXED),
                                      new AccessControlEntry("User:" + user, "*", AclOperation.READ, AclPermissionType.ALLOW));
            admin.createAcls(List.of(rule)).all().get();
            fact("rules", admin.describeAcls(rule.toFilter()).values().get());
            fact("deleted", admin.deleteAcls(List.of(rule.toFilter())).all().get().size());
            fact("operations", new TreeSet<>(admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true))
                .authorizedOperations().get()));
        }
    }

    public static void main(String[] words) throws Exception {
        try (var file = new FileReader(words[0])) {
            props.load(file);
        }
        props.put("reconnect.backoff.max.ms", "300");
        switch (words[1]) {
            case "talk" -> talk(words[2], Integer.parseInt(words[3]));
            case "slow" -> slow(words[2], Integer.parseInt(words[3]), Integer.parseInt(words[4]));
            case "admin" -> admin(words[2]);
            default -> throw new IllegalArgumentException(words[1]);
        }
    }
}
