import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Confluent's Parallel Consumer over a whole topic, once for each line on standard input; ends with that. For each it prints
 * the milliseconds from the beginning of the first call to the end of the last.
 *
 * <p>Arguments: bootstrap servers, topic, number of messages, concurrency.
 */
public class ParallelConsumerPeer {
  public static void main(String[] arguments) throws Exception {
    var order = new Order(arguments[0], arguments[1], Integer.parseInt(arguments[2]), Integer.parseInt(arguments[3]));
    var lines = new BufferedReader(new InputStreamReader(System.in));
    while (lines.readLine() != null) System.out.println(consumeAll(order));
    System.exit(0);
  }

  record Order(String bootstrap, String topic, int messages, int concurrency) {}

  static double consumeAll(Order order) throws InterruptedException {
    var options =
        ParallelConsumerOptions.<String, String>builder()
            .ordering(ProcessingOrder.KEY)
            .maxConcurrency(order.concurrency())
            // The quickest of its three: no call waits for a commit.
            .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
            .consumer(new KafkaConsumer<String, String>(consumerProperties(order)))
            .build();
    var left = new AtomicInteger(order.messages());
    var startedAt = new AtomicLong();
    var done = new CountDownLatch(1);
    ParallelStreamProcessor<String, String> processor = ParallelStreamProcessor.createEosStreamProcessor(options);
    processor.subscribe(List.of(order.topic()));
    processor.poll(
        context -> {
          startedAt.compareAndSet(0, System.nanoTime());
          call(context.getSingleConsumerRecord().value());
          if (left.decrementAndGet() == 0) done.countDown();
        });
    done.await();
    var endedAt = System.nanoTime();
    processor.closeDontDrainFirst();
    return (endedAt - startedAt.get()) / 1e6;
  }

  /** The other side answers after as many milliseconds as the message's last field says: {@code ..."note":"3"}}. */
  static void call(String message) {
    try {
      Thread.sleep(message.charAt(message.length() - 3) - '0');
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** A group of its own, so that every round begins at the beginning. */
  static Properties consumerProperties(Order order) {
    var properties = new Properties();
    properties.put("bootstrap.servers", order.bootstrap());
    properties.put("group.id", "peer-" + UUID.randomUUID());
    properties.put("auto.offset.reset", "earliest");
    properties.put("enable.auto.commit", "false");
    properties.put("key.deserializer", StringDeserializer.class.getName());
    properties.put("value.deserializer", StringDeserializer.class.getName());
    return properties;
  }
}
