import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.security.Security;
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
    /** Until when one of its name servers must be there: it may be started after the client. */
    private static final long NAME_SERVER_SECONDS = 180;

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

    /**
     * Until one of these name servers takes connections: a client that is started before fails. Names are looked up anew
     * each time, also those that were not found.
     */
    static void awaitNameServer(String nameServers) {
        Security.setProperty("networkaddress.cache.ttl", "1");
        Security.setProperty("networkaddress.cache.negative.ttl", "0");
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(NAME_SERVER_SECONDS);
        IOException reason = null;
        while (System.nanoTime() < deadline) {
            for (String address : nameServers.split(";")) {
                int colon = address.lastIndexOf(':');
                try (Socket socket = new Socket()) {
                    int port = Integer.parseInt(address.substring(colon + 1));
                    socket.connect(new InetSocketAddress(address.substring(0, colon), port), 1000);
                    return;
                } catch (IOException e) {
                    reason = e;
                }
            }
            pause(100);
        }
        throw new IllegalStateException("no name server of " + nameServers + " takes connections", reason);
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
