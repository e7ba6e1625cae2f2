import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Kafka Streams, one stream thread. Each line of standard input is one run; its answer is one line of standard output.
 *
 * <p>in: {@code topology guarantee input output events cacheBytes}; out: {@code seconds cpuSeconds}. The time begins with
 * the first event and ends with the last one, as does the CPU time of the whole process. One process serves all runs, so
 * that code compiled for the first ones is there for the later ones.
 */
public final class Peer {
    public record Order(
            String order_id,
            String customer_id,
            long amount_cents,
            String currency,
            String country,
            int items,
            boolean express,
            String note) {}

    public record Counted(String customer_id, long count) {}

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private long expected;
    private long seen;
    private long beganAt;
    private long beganCpu;
    private volatile String answer;

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        int number = 0;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(new Peer().run(arguments[0], arguments[1], number++, line.split(" ")));
        }
    }

    private String run(String servers, String folder, int number, String[] run) throws InterruptedException {
        expected = Long.parseLong(run[4]);
        Properties settings = new Properties();
        settings.put("application.id", "peer-" + ProcessHandle.current().pid() + "-" + number);
        settings.put("bootstrap.servers", servers);
        settings.put("processing.guarantee", run[1]);
        settings.put("state.dir", folder);
        settings.put("num.stream.threads", 1);
        settings.put("commit.interval.ms", 100);
        settings.put("statestore.cache.max.bytes", Long.parseLong(run[5]));
        settings.put("auto.offset.reset", "earliest");
        settings.put("producer.compression.type", "lz4");
        settings.put("replication.factor", 1);
        try (KafkaStreams streams = new KafkaStreams(topology(run[0], run[2], run[3]), settings)) {
            streams.setUncaughtExceptionHandler(
                    error -> {
                        answer = "failed " + error;
                        return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler
                                .StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                    });
            streams.start();
            while (answer == null) {
                Thread.sleep(10);
            }
            streams.close(Duration.ofSeconds(20));
            streams.cleanUp();
        }
        return answer;
    }

    private org.apache.kafka.streams.Topology topology(String name, String input, String output) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, Order> orders =
                builder.stream(input, Consumed.with(Serdes.String(), json(Order.class)))
                        .peek((key, order) -> count());
        switch (name) {
            case "stateless" -> orders.foreach((key, order) -> {});
            case "transform" ->
                    orders.mapValues(Peer::checked).to(output, Produced.with(Serdes.String(), json(Order.class)));
            case "count" -> counts(orders);
            case "count-out" ->
                    counts(orders)
                            .toStream()
                            .mapValues((key, count) -> new Counted(key, count))
                            .to(output, Produced.with(Serdes.String(), json(Counted.class)));
            default -> throw new IllegalArgumentException(name);
        }
        return builder.build();
    }

    private static KTable<String, Long> counts(KStream<String, Order> orders) {
        return orders.groupByKey(Grouped.with(Serdes.String(), json(Order.class)))
                .count(
                        Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts")
                                .withKeySerde(Serdes.String())
                                .withValueSerde(Serdes.Long()));
    }

    private static Order checked(Order order) {
        return new Order(
                order.order_id,
                order.customer_id,
                order.amount_cents + 1,
                order.currency,
                order.country,
                order.items,
                order.express,
                order.note);
    }

    private void count() {
        if (seen == 0) {
            beganAt = System.nanoTime();
            beganCpu = SYSTEM.getProcessCpuTime();
        }
        if (++seen == expected) {
            double seconds = (System.nanoTime() - beganAt) / 1e9;
            answer = seconds + " " + (SYSTEM.getProcessCpuTime() - beganCpu) / 1e9;
        }
    }

    private static <T> Serde<T> json(Class<T> type) {
        return Serdes.serdeFrom(
                (topic, value) -> {
                    try {
                        return JSON.writeValueAsBytes(value);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                },
                (topic, bytes) -> {
                    try {
                        return JSON.readValue(bytes, type);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                });
    }
}
