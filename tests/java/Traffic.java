import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.exception.RemotingSendRequestException;
import org.apache.rocketmq.remoting.protocol.RemotingSysResponseCode;

/**
 * Traffic through RocketMQ's own client: one producer and one consumer that know only the name servers they are told.
 *
 * <p>Messages are numbered. A send is never retried, and fails if it throws or is not SEND_OK. The set of acknowledged
 * numbers less the set of received ones is what was lost, exactly. Prints one JSON object a second.
 *
 * <p>Arguments are {@code key=value}: nameServers, topics (comma separated), run (a name of its own for each run), rate
 * (sends a second over all topics; 0 = it only receives what a run of this name sends elsewhere), stopFile (sending ends
 * when it exists), count (sending ends after so many; 0 = when stopFile says so), drainSeconds (how long acknowledged
 * messages may take to arrive).
 *
 * <p>Besides, each of them optional: group (the consumer's), tags (what it subscribes to, {@code TagA||TagB}; messages
 * have one of these tags or another one in turn, and those of the other one must not arrive), retryPercent (so many of a
 * hundred messages are refused when they arrive first; a refused one counts as received when it comes again), delayedTopic
 * (one of the topics, whose messages are delayed by 10 s), readers (more groups, which only read:
 * {@code group:topic+topic,group:topic}), lowestAt (brokers, comma separated: for each queue of theirs, the lowest offset
 * that arrived in each group is printed whenever it changes), busyRetries (how often a send is repeated that a broker
 * refused unstored because it was busy: for brokers that refuse what waited for 200 ms, on a machine that makes it wait),
 * quick (true: routes are asked for, brokers told of the client and queues taken each second).
 */
public final class Traffic {
    /** Sending threads: a slow answer on one of them must not lower the rate of the others. */
    private static final int SENDERS = 8;
    /** How late sends may be to be made up for. */
    private static final long CATCH_UP_NANOS = TimeUnit.SECONDS.toNanos(1);
    /** The tag that no consumer subscribes to. */
    private static final String OTHER_TAG = "Other";
    /** 10 s in the table of levels that brokers have unless told otherwise. */
    private static final int DELAY_LEVEL = 3;

    private final Properties arguments;
    private final String run;
    private final String[] topics;
    private final String group;
    private final String expression;
    private final String[] tags;
    private final String delayedTopic;
    private final long retryPercent;
    private final long busyRetries;
    private final boolean quick;
    private final Set<String> lowestAt;
    /** Acknowledged numbers that are to arrive: those whose tag is subscribed to. */
    private final BitSet expected = new BitSet();
    private final BitSet received = new BitSet();
    private final BitSet refused = new BitSet();
    /** By group, by {@code topic:broker:queue}. */
    private final Map<String, Map<String, Long>> lowest = new TreeMap<>();
    private boolean lowestChanged;
    private long sent;
    private long acknowledged;
    private long failed;
    private long unasked;
    private long duplicates;
    private long slowestMillis;
    private String firstFailure = "";
    private volatile String state = "warming";

    private Traffic(Properties arguments) {
        this.arguments = arguments;
        this.run = required("run");
        this.topics = required("topics").split(",");
        this.group = arguments.getProperty("group", "traffic-" + run);
        this.expression = arguments.getProperty("tags", "*");
        this.tags = expression.equals("*") ? new String[0] : (expression + "||" + OTHER_TAG).split("\\|\\|");
        this.delayedTopic = arguments.getProperty("delayedTopic");
        this.retryPercent = number("retryPercent", 0);
        this.busyRetries = number("busyRetries", 0);
        this.quick = Boolean.parseBoolean(arguments.getProperty("quick"));
        this.lowestAt = new HashSet<>(Arrays.asList(arguments.getProperty("lowestAt", "").split(",")));
    }

    public static void main(String[] args) {
        boolean whole = false;
        try {
            whole = new Traffic(Clients.arguments(args)).drive();
        } catch (Exception e) {
            e.printStackTrace();
        }
        // By hand: the client's threads would keep a failed process alive.
        System.exit(whole ? 0 : 1);
    }

    private boolean drive() throws Exception {
        Thread reporter = new Thread(this::reportEachSecond, "report");
        reporter.setDaemon(true);
        reporter.start();
        if (quick) {
            // Read when the client's class is loaded.
            System.setProperty("rocketmq.client.rebalance.waitInterval", "1000");
        }
        Clients.awaitNameServer(required("nameServers"));

        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        consumers.add(startConsumer(group, topics));
        String readers = arguments.getProperty("readers", "");
        for (String reader : readers.isEmpty() ? new String[0] : readers.split(",")) {
            String[] words = reader.split(":");
            consumers.add(startConsumer(words[0], words[1].split("\\+")));
        }
        DefaultMQProducer producer = number("rate", 240) == 0 ? null : startProducer();
        for (DefaultMQPushConsumer consumer : consumers) {
            Clients.awaitAllQueues(consumer);
        }

        if (producer == null) {
            state = "running";
            Path stop = Paths.get(required("stopFile"));
            while (!Files.exists(stop)) {
                Clients.pause(100);
            }
        } else {
            openConnections(producer);
            state = "running";
            sendAll(producer);
        }

        state = "draining";
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(number("drainSeconds", 60));
        while (missing() > 0 && System.nanoTime() < deadline) {
            Clients.pause(50);
        }
        // The verdict first: a client that hangs in its shutdown must not hide it.
        state = "done";
        report();
        if (producer != null) {
            producer.shutdown();
        }
        for (DefaultMQPushConsumer consumer : consumers) {
            consumer.shutdown();
        }
        return failures() == 0 && missing() == 0;
    }

    /** The consumer whose messages are counted, or a reader. They share one client and its connections. */
    private DefaultMQPushConsumer startConsumer(String name, String[] subscribed) throws Exception {
        boolean counts = name.equals(group);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(name);
        consumer.setNamesrvAddr(required("nameServers"));
        consumer.setInstanceName("consumer-" + run);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        hurry(consumer);
        // One verdict a message: a refused one must not take others of its batch along.
        consumer.setConsumeMessageBatchMaxSize(1);
        if (!counts) {
            consumer.setConsumeThreadMin(1);
            consumer.setConsumeThreadMax(1);
        }
        for (String topic : subscribed) {
            consumer.subscribe(topic, counts ? expression : "*");
        }
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            boolean taken = true;
            for (MessageExt message : messages) {
                noteOffset(name, context.getMessageQueue(), message.getQueueOffset());
                taken &= !counts || receive(message);
            }
            return taken ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS : ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        return consumer;
    }

    private DefaultMQProducer startProducer() throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("traffic-producer-" + run);
        producer.setNamesrvAddr(required("nameServers"));
        producer.setInstanceName("producer-" + run);
        producer.setRetryTimesWhenSendFailed(0);
        hurry(producer);
        producer.start();
        return producer;
    }

    private void hurry(ClientConfig client) {
        if (quick) {
            client.setPollNameServerInterval(1000);
            // Brokers that it did not know at its start are told of it with the next heartbeat, and give no queue before.
            client.setHeartbeatBrokerInterval(1000);
        }
    }

    /**
     * One message to each queue, by one thread and before anything is counted: the client of 4.5.0 sometimes fails the
     * first request of several that meet on a connection which is just being opened. A route that is missing still throws.
     */
    private void openConnections(DefaultMQProducer producer) throws Exception {
        for (String topic : topics) {
            for (MessageQueue queue : producer.fetchPublishMessageQueues(topic)) {
                byte[] body = ("opens a connection of " + run).getBytes(StandardCharsets.UTF_8);
                try {
                    send(producer, new Message(topic, body), queue);
                } catch (RemotingSendRequestException e) {
                    send(producer, new Message(topic, body), queue);
                }
            }
        }
    }

    private void sendAll(DefaultMQProducer producer) throws InterruptedException {
        Thread[] senders = new Thread[SENDERS];
        long start = System.nanoTime();
        for (int i = 0; i < SENDERS; i++) {
            int sender = i;
            senders[i] = new Thread(() -> send(producer, sender, start), "send-" + i);
            senders[i].start();
        }
        for (Thread sender : senders) {
            sender.join();
        }
    }

    private void send(DefaultMQProducer producer, int sender, long start) {
        long count = number("count", 0);
        long intervalNanos = TimeUnit.SECONDS.toNanos(1) * SENDERS / number("rate", 240);
        Path stop = Paths.get(required("stopFile"));
        long due = start + sender * intervalNanos / SENDERS;
        for (int number = sender; count == 0 ? !Files.exists(stop) : number < count; number += SENDERS) {
            while (System.nanoTime() < due) {
                LockSupport.parkNanos(due - System.nanoTime());
            }
            // By the clock, not by pauses, so that the rate holds. But what a stalled machine left undone for longer is
            // not made up for: that would be a burst.
            due = Math.max(due, System.nanoTime() - CATCH_UP_NANOS) + intervalNanos;
            String topic = topics[number % topics.length];
            Message message = new Message(topic, (run + ":" + number).getBytes(StandardCharsets.UTF_8));
            if (tags.length > 0) {
                message.setTags(tag(number));
            }
            if (topic.equals(delayedTopic)) {
                message.setDelayTimeLevel(DELAY_LEVEL);
            }
            long begin = System.nanoTime();
            String failure = null;
            try {
                SendResult result = send(producer, message, null);
                if (result.getSendStatus() != SendStatus.SEND_OK) {
                    failure = String.valueOf(result);
                }
            } catch (Exception e) {
                failure = withCauses(e);
            }
            sent(number, topic, failure, TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin));
        }
    }

    /** To a queue that the client chooses if none is given. */
    private SendResult send(DefaultMQProducer producer, Message message, MessageQueue queue) throws Exception {
        for (long retries = busyRetries; ; retries--) {
            try {
                return queue == null ? producer.send(message) : producer.send(message, queue);
            } catch (MQClientException | MQBrokerException e) {
                if (retries == 0 || !isBusy(e)) {
                    throw e;
                }
            }
            Clients.pause(500);
        }
    }

    /** Whether a broker refused before it stored: {@code BrokerFastFailure}, all tags. */
    private static boolean isBusy(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof MQBrokerException
                    && ((MQBrokerException) cause).getResponseCode() == RemotingSysResponseCode.SYSTEM_BUSY) {
                return true;
            }
        }
        return false;
    }

    /** How many messages of its topic were sent before: each topic gets every tag, and has refused messages. */
    private int turn(int number) {
        return number / topics.length;
    }

    private String tag(int number) {
        return tags[turn(number) % tags.length];
    }

    private boolean isAsked(int number) {
        return tags.length == 0 || !tag(number).equals(OTHER_TAG);
    }

    private static String withCauses(Throwable failure) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            text.append(text.length() == 0 ? "" : ", because ").append(cause);
        }
        return text.toString();
    }

    private synchronized void sent(int number, String topic, String failure, long millis) {
        sent++;
        slowestMillis = Math.max(slowestMillis, millis);
        if (failure == null) {
            acknowledged++;
            if (isAsked(number)) {
                expected.set(number);
            }
            return;
        }
        failed++;
        if (firstFailure.isEmpty()) {
            firstFailure = System.currentTimeMillis() + " " + topic + " " + number + ": " + failure;
        }
    }

    /** False if the message is refused, to come again. */
    private synchronized boolean receive(MessageExt message) {
        String body = new String(message.getBody(), StandardCharsets.UTF_8);
        if (!body.startsWith(run + ":")) {
            return true; // Another run's, from before this one.
        }
        int number = Integer.parseInt(body.substring(run.length() + 1));
        if (!isAsked(number)) {
            unasked++;
            return true;
        }
        if (turn(number) % 100 < retryPercent && !refused.get(number)) {
            refused.set(number);
            return false;
        }
        if (received.get(number)) {
            duplicates++;
        }
        received.set(number);
        return true;
    }

    private synchronized void noteOffset(String name, MessageQueue queue, long offset) {
        if (!lowestAt.contains(queue.getBrokerName())) {
            return;
        }
        String key = queue.getTopic() + ":" + queue.getBrokerName() + ":" + queue.getQueueId();
        Map<String, Long> queues = lowest.computeIfAbsent(name, unknown -> new TreeMap<>());
        Long before = queues.get(key);
        if (before == null || offset < before) {
            queues.put(key, offset);
            lowestChanged = true;
        }
    }

    private synchronized int missing() {
        BitSet missing = (BitSet) expected.clone();
        missing.andNot(received);
        return missing.cardinality();
    }

    private synchronized long failures() {
        return failed;
    }

    private void reportEachSecond() {
        while (!state.equals("done")) {
            report();
            Clients.pause(1000);
        }
    }

    private synchronized void report() {
        if (lowestChanged) {
            lowestChanged = false;
            List<String> groups = new ArrayList<>();
            lowest.forEach((name, queues) -> {
                List<String> offsets = new ArrayList<>();
                queues.forEach((queue, offset) -> offsets.add("\"" + queue + "\":" + offset));
                groups.add("\"" + name + "\":{" + String.join(",", offsets) + "}");
            });
            System.out.println("{\"lowest\":{" + String.join(",", groups) + "}}");
        }
        System.out.println("{\"state\":\"" + state + "\",\"atMillis\":" + System.currentTimeMillis() + ",\"sent\":" + sent
            + ",\"acknowledged\":" + acknowledged + ",\"failed\":" + failed
            + ",\"received\":" + received.cardinality() + ",\"missing\":" + missing()
            + ",\"unasked\":" + unasked + ",\"refused\":" + refused.cardinality()
            + ",\"duplicates\":" + duplicates + ",\"slowestMillis\":" + slowestMillis
            + ",\"firstFailure\":\"" + firstFailure.replaceAll("[\\\\\"\\p{Cntrl}]", " ") + "\"}");
    }

    private String required(String key) {
        return Clients.required(arguments, key);
    }

    private long number(String key, long otherwise) {
        return Clients.number(arguments, key, otherwise);
    }
}
