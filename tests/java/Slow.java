import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.TimeUnit;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A consumer that is online and works on its first messages until stopFile exists. Then it takes everything, and is done
 * when nothing has come for {@value #QUIET_SECONDS} s.
 *
 * <p>Prints one JSON object a second: {@code starting}, {@code reading} once it owns every queue, {@code done} at the end.
 *
 * <p>Arguments are {@code key=value}: nameServers, run (a name of its own for each run), topic, group, stopFile.
 */
public final class Slow implements MessageListenerConcurrently {
    private static final long QUIET_SECONDS = 10;

    private final Properties arguments;
    private final Path stop;
    private volatile String state = "starting";
    private long taken;
    private long lastNanos;

    private Slow(Properties arguments) {
        this.arguments = arguments;
        this.stop = Paths.get(Clients.required(arguments, "stopFile"));
    }

    public static void main(String[] words) {
        boolean ended = false;
        try {
            new Slow(Clients.arguments(words)).read();
            ended = true;
        } catch (Exception e) {
            e.printStackTrace();
        }
        // By hand: the client's threads would keep a failed process alive.
        System.exit(ended ? 0 : 1);
    }

    private void read() throws Exception {
        Thread reporter = new Thread(this::reportEachSecond, "report");
        reporter.setDaemon(true);
        reporter.start();

        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(Clients.required(arguments, "group"));
        consumer.setNamesrvAddr(Clients.required(arguments, "nameServers"));
        consumer.setInstanceName(Clients.required(arguments, "run"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        consumer.subscribe(Clients.required(arguments, "topic"), "*");
        consumer.registerMessageListener(this);
        consumer.start();
        Clients.awaitAllQueues(consumer);
        state = "reading";
        while (!Files.exists(stop)) {
            Clients.pause(100);
        }
        synchronized (this) {
            lastNanos = System.nanoTime();
        }
        while (quietNanos() < TimeUnit.SECONDS.toNanos(QUIET_SECONDS)) {
            Clients.pause(100);
        }
        // Ends it first: it tells brokers how far it came when it is shut down.
        consumer.shutdown();
        state = "done";
        report();
    }

    @Override
    public ConsumeConcurrentlyStatus consumeMessage(List<MessageExt> messages, ConsumeConcurrentlyContext context) {
        while (!Files.exists(stop)) {
            Clients.pause(100);
        }
        synchronized (this) {
            taken += messages.size();
            lastNanos = System.nanoTime();
        }
        return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
    }

    private synchronized long quietNanos() {
        return System.nanoTime() - lastNanos;
    }

    private void reportEachSecond() {
        while (!state.equals("done")) {
            report();
            Clients.pause(1000);
        }
    }

    private synchronized void report() {
        System.out.println("{\"state\":\"" + state + "\",\"taken\":" + taken + "}");
    }
}
