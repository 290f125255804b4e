import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * The SQL cases in Flink SQL, one process: FlinkJob QUERY BOOTSTRAP GUARANTEE CONFIG STATE_DIR OUT_TOPIC.
 *
 * <p>QUERY filter, window or join; GUARANTEE at-least-once or exactly-once; CONFIG stock. The sources are bounded at
 * the ends which the topics have at the start, so the job ends after its last output is flushed; prints one JSON line.
 */
public final class FlinkJob {
    private static final String TRANSACTIONS = "k STRING, user_id INT, amount BIGINT, ts BIGINT, merchant STRING,"
        + " note STRING, rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt - INTERVAL '2' SECOND";
    private static final String USERS = "k STRING, user_id INT, name STRING, tier STRING, country STRING,"
        + " rt TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', WATERMARK FOR rt AS rt, PRIMARY KEY (k) NOT ENFORCED";
    private static final String RAW_KEY = "'key.format'='raw','key.fields'='k','value.fields-include'='EXCEPT_KEY',";

    private final StreamTableEnvironment tables;
    private final String bootstrap;
    private final String guarantee;
    private final String out;

    private FlinkJob(StreamTableEnvironment tables, String bootstrap, String guarantee, String out) {
        this.tables = tables;
        this.bootstrap = bootstrap;
        this.guarantee = guarantee;
        this.out = out;
    }

    private void source() {
        tables.executeSql("CREATE TABLE transactions (" + TRANSACTIONS + ") WITH ('connector'='kafka',"
            + "'topic'='transactions','properties.bootstrap.servers'='" + bootstrap + "','properties.group.id'='" + out
            + "','scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset'," + RAW_KEY
            + "'value.format'='json')");
    }

    private void users() {
        tables.executeSql("CREATE TABLE users (" + USERS + ") WITH ('connector'='upsert-kafka','topic'='users',"
            + "'properties.bootstrap.servers'='" + bootstrap + "','scan.bounded.mode'='latest-offset',"
            + "'key.format'='raw','value.format'='json','value.fields-include'='EXCEPT_KEY')");
    }

    private void sink(String columns, String key) {
        String exact = guarantee.equals("exactly-once")
            ? ",'sink.transactional-id-prefix'='" + out + "','properties.transaction.timeout.ms'='600000'" : "";
        tables.executeSql("CREATE TABLE sink (" + columns + ") WITH ('connector'='kafka','topic'='" + out
            + "','properties.bootstrap.servers'='" + bootstrap + "'," + key
            + "'value.format'='json','sink.delivery-guarantee'='" + guarantee + "'" + exact + ")");
    }

    private String define(String query) {
        source();
        switch (query) {
            case "filter":
                sink("k STRING, user_id INT, amount BIGINT, merchant STRING", RAW_KEY);
                return "INSERT INTO sink SELECT k, user_id, amount, merchant FROM transactions WHERE amount > 50";
            case "window":
                sink("user_id INT, window_start TIMESTAMP(3), total BIGINT, n BIGINT",
                    "'key.format'='json','key.fields'='user_id;window_start',");
                return "INSERT INTO sink SELECT user_id, window_start, SUM(amount), COUNT(*) FROM TABLE("
                    + "TUMBLE(TABLE transactions, DESCRIPTOR(rt), INTERVAL '3' SECOND))"
                    + " GROUP BY user_id, window_start, window_end";
            case "join":
                users();
                sink("k STRING, user_id INT, amount BIGINT, ts BIGINT, merchant STRING, name STRING, tier STRING", RAW_KEY);
                return "INSERT INTO sink SELECT t.k, t.user_id, t.amount, t.ts, t.merchant, u.name, u.tier"
                    + " FROM transactions AS t JOIN users FOR SYSTEM_TIME AS OF t.rt AS u ON t.k = u.k";
            default:
                throw new IllegalArgumentException(query);
        }
    }

    private static Configuration configuration(String guarantee, String state) {
        Configuration c = new Configuration();
        c.setString("parallelism.default", "2");
        c.setString("taskmanager.numberOfTaskSlots", "2");
        c.setString("execution.checkpointing.interval", guarantee.equals("exactly-once") ? "1 s" : "10 s");
        c.setString("execution.checkpointing.dir", "file://" + state);
        c.setString("table.local-time-zone", "UTC");
        c.setString("state.backend.type", "hashmap");
        return c;
    }

    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(2, configuration(args[2], args[4]));
        StreamTableEnvironment tables = StreamTableEnvironment.create(env);
        FlinkJob job = new FlinkJob(tables, args[1], args[2], args[5]);
        long start = System.nanoTime();
        tables.executeSql(job.define(args[0])).await();
        System.out.printf("{\"seconds\":%.3f}%n", (System.nanoTime() - start) / 1e9);
        System.exit(0);
    }
}
