import java.util.HashSet;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.message.MessageQueue;

/** What every client of the tests needs. */
final class Clients {
    /** Until when a consumer must own every queue. */
    private static final long WARM_UP_SECONDS = 90;

    private Clients() {
    }

    /** Arguments are {@code key=value}. */
    static Properties arguments(String[] words) {
        Properties arguments = new Properties();
        for (String word : words) {
            int equals = word.indexOf('=');
            arguments.setProperty(word.substring(0, equals), word.substring(equals + 1));
        }
        return arguments;
    }

    static String required(Properties arguments, String key) {
        String value = arguments.getProperty(key);
        if (value == null) {
            throw new IllegalArgumentException(key + "= is missing");
        }
        return value;
    }

    static long number(Properties arguments, String key, long otherwise) {
        return Long.parseLong(arguments.getProperty(key, Long.toString(otherwise)));
    }

    /** A message that is sent before the consumer owns its queue could be skipped by the consumer's first offset. */
    static void awaitAllQueues(DefaultMQPushConsumer consumer) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WARM_UP_SECONDS);
        Exception reason = null;
        while (System.nanoTime() < deadline) {
            try {
                Set<MessageQueue> wanted = new HashSet<>();
                for (String topic : consumer.getDefaultMQPushConsumerImpl().getSubscriptionInner().keySet()) {
                    if (!topic.startsWith("%RETRY%")) {
                        wanted.addAll(consumer.fetchSubscribeMessageQueues(topic));
                    }
                }
                if (!wanted.isEmpty() && consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl()
                        .getProcessQueueTable().keySet().containsAll(wanted)) {
                    return;
                }
            } catch (Exception e) {
                reason = e;
            }
            pause(100);
        }
        throw new IllegalStateException(consumer.getConsumerGroup() + " does not own every queue of its topics", reason);
    }

    static void pause(long millis) {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(millis));
    }
}
