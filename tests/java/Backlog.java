import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.store.OffsetStore;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Messages that somebody still wants of one broker, by RocketMQ's own client: it makes them, and sees them arrive.
 *
 * <p>Prints one JSON object a second: {@code starting}, {@code made} once the messages are as the kind says, {@code done}
 * at the end.
 *
 * <p>Arguments are {@code key=value}: nameServers, run (a name of its own for each run), topic, group (of the consumer),
 * broker (the brokerName that gets the messages), count (how many), stopFile, and kind, one of
 * <ul>
 * <li>unread: the group reads one message at the broker and goes for good; then the others are sent
 * <li>read: the group reads what a run of this name and of the kind unread has left
 * <li>retry: each message is refused when it arrives first, to come again after the delay level {@code level}
 * <li>dead: each message is refused for good
 * <li>delayed: each is sent with the delay level {@code level}
 * <li>timer: each is sent with a delay of {@code delaySeconds} (5.x)
 * <li>half: transactions without an end; there is one more for every one that another broker got
 * </ul>
 * All but the first two stay until stopFile exists, and until then those that were not refused for good have arrived.
 * Transactions are committed when the broker asks once stopFile exists.
 */
public final class Backlog implements TransactionListener, MessageListenerConcurrently {
    /** Straight to the dead letters ({@code ConsumeConcurrentlyContext}, all tags). */
    private static final int NEVER_AGAIN = -1;
    /** {@code MessageConst.PROPERTY_TIMER_DELAY_SEC}, which clients before 5.0.0 do not have. */
    private static final String DELAY_SECONDS = "TIMER_DELAY_SEC";

    private final Properties arguments;
    private final String run;
    private final String kind;
    private final String topic;
    private final String broker;
    private final int count;
    private final Path stop;
    private final BitSet arrived = new BitSet();
    private final BitSet refused = new BitSet();
    /** Where the group goes on in each queue once all that came has its verdict. */
    private final Map<MessageQueue, Long> next = new HashMap<>();
    private volatile int sent;
    private volatile String state = "starting";

    private Backlog(Properties arguments) {
        this.arguments = arguments;
        this.run = Clients.required(arguments, "run");
        this.kind = Clients.required(arguments, "kind");
        this.topic = Clients.required(arguments, "topic");
        this.broker = Clients.required(arguments, "broker");
        this.count = (int) Clients.number(arguments, "count", 1);
        this.stop = Paths.get(Clients.required(arguments, "stopFile"));
    }

    public static void main(String[] args) {
        boolean done = false;
        try {
            new Backlog(Clients.arguments(args)).drive();
            done = true;
        } catch (Exception e) {
            e.printStackTrace();
        }
        // By hand: the client's threads would keep a failed process alive.
        System.exit(done ? 0 : 1);
    }

    private void drive() throws Exception {
        Thread reporter = new Thread(this::reportEachSecond, "report");
        reporter.setDaemon(true);
        reporter.start();

        TransactionMQProducer producer = new TransactionMQProducer("backlog-producer-" + run);
        producer.setNamesrvAddr(Clients.required(arguments, "nameServers"));
        producer.setTransactionListener(this);
        producer.setRetryTimesWhenSendFailed(0);
        DefaultMQPushConsumer consumer = startConsumer();
        switch (kind) {
            case "unread":
                producer.start();
                // Numbered last, so that the run that reads the others knows them by their numbers too.
                send(producer, count);
                await(1, arrived);
                stopReading(consumer);
                sendAll(producer);
                break;
            case "read":
                await(count, arrived);
                stopReading(consumer);
                break;
            default:
                producer.start();
                sendAll(producer);
                if (refuses()) {
                    await(count, refused);
                }
                state = "made";
                awaitStop();
                if (!kind.equals("dead")) {
                    await(sent, arrived);
                }
                stopReading(consumer);
        }
        // The verdict first: a client that hangs in its shutdown must not hide it.
        state = "done";
        report();
        producer.shutdown();
    }

    private DefaultMQPushConsumer startConsumer() throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(Clients.required(arguments, "group"));
        consumer.setNamesrvAddr(Clients.required(arguments, "nameServers"));
        consumer.setInstanceName("backlog-" + run);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        // One verdict a message: a refused one must not take others of its batch along.
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(this);
        consumer.start();
        Clients.awaitAllQueues(consumer);
        return consumer;
    }

    /** The client tells brokers how far it came when it shuts down, but does not wait for its last verdicts. */
    private void stopReading(DefaultMQPushConsumer consumer) {
        OffsetStore offsets = consumer.getDefaultMQPushConsumerImpl().getOffsetStore();
        Map<MessageQueue, Long> wanted;
        synchronized (this) {
            wanted = new HashMap<>(next);
        }
        wanted.forEach((queue, offset) -> {
            while (offsets.readOffset(queue, ReadOffsetType.READ_FROM_MEMORY) < offset) {
                Clients.pause(50);
            }
        });
        consumer.shutdown();
    }

    private void sendAll(TransactionMQProducer producer) throws Exception {
        if (!kind.equals("half")) {
            for (int number = 0; number < count; number++) {
                send(producer, number);
            }
            return;
        }
        // A transaction goes to the queue that the client chooses, each broker's in turn.
        for (int atBroker = 0; atBroker < count; ) {
            Message message = new Message(topic, (run + ":" + sent).getBytes(StandardCharsets.UTF_8));
            SendResult result = check(producer.sendMessageInTransaction(message, null));
            sent++;
            if (result.getMessageQueue().getBrokerName().equals(broker)) {
                atBroker++;
            }
        }
    }

    private void send(TransactionMQProducer producer, int number) throws Exception {
        Message message = new Message(topic, (run + ":" + number).getBytes(StandardCharsets.UTF_8));
        if (kind.equals("delayed")) {
            message.setDelayTimeLevel(level());
        } else if (kind.equals("timer")) {
            MessageAccessor.putProperty(message, DELAY_SECONDS, Clients.required(arguments, "delaySeconds"));
        }
        check(producer.send(message, queueAtBroker(producer)));
        sent++;
    }

    private static SendResult check(SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException(String.valueOf(result));
        }
        return result;
    }

    private MessageQueue queueAtBroker(TransactionMQProducer producer) throws Exception {
        for (MessageQueue queue : producer.fetchPublishMessageQueues(topic)) {
            if (queue.getBrokerName().equals(broker)) {
                return queue;
            }
        }
        throw new IllegalStateException(topic + " has no queue at " + broker);
    }

    @Override
    public ConsumeConcurrentlyStatus consumeMessage(List<MessageExt> messages,
            ConsumeConcurrentlyContext context) {
        for (MessageExt message : messages) {
            if (!take(message, context.getMessageQueue())) {
                context.setDelayLevelWhenNextConsume(kind.equals("dead") ? NEVER_AGAIN : level());
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
        }
        return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
    }

    /** False if the message is refused. */
    private synchronized boolean take(MessageExt message, MessageQueue queue) {
        next.merge(queue, message.getQueueOffset() + 1, Math::max);
        String body = new String(message.getBody(), StandardCharsets.UTF_8);
        if (!body.startsWith(run + ":")) {
            return true; // Another run's, from before this one.
        }
        int number = Integer.parseInt(body.substring(run.length() + 1));
        if (refuses() && !refused.get(number)) {
            refused.set(number);
            return false;
        }
        arrived.set(number);
        return true;
    }

    private boolean refuses() {
        return kind.equals("retry") || kind.equals("dead");
    }

    private int level() {
        return Integer.parseInt(Clients.required(arguments, "level"));
    }

    @Override
    public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
        return LocalTransactionState.UNKNOW;
    }

    @Override
    public LocalTransactionState checkLocalTransaction(MessageExt message) {
        return Files.exists(stop) ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.UNKNOW;
    }

    /** Without a deadline: whoever started this program has one. */
    private void await(int wanted, BitSet numbers) {
        while (cardinality(numbers) < wanted) {
            Clients.pause(50);
        }
    }

    private void awaitStop() {
        while (!Files.exists(stop)) {
            Clients.pause(100);
        }
    }

    private synchronized int cardinality(BitSet numbers) {
        return numbers.cardinality();
    }

    private void reportEachSecond() {
        while (!state.equals("done")) {
            report();
            Clients.pause(1000);
        }
    }

    private synchronized void report() {
        System.out.println("{\"state\":\"" + state + "\",\"sent\":" + sent + ",\"refused\":" + refused.cardinality()
            + ",\"arrived\":" + arrived.cardinality() + "}");
    }
}
