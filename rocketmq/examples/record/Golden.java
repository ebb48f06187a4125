import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.Properties;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.store.ReadOffsetType;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * Everything that the golden frames tell of, made and asked for by RocketMQ's own clients; see the top of main.rs.
 *
 * <p>It prints {@code reached <stage>} and goes on when it reads a line. Arguments are the name server, the broker and the
 * version. What differs between 4.x and 5.x is in the subclasses.
 */
abstract class Golden implements TransactionListener {
    static final String BROKER_NAME = "demo-0";
    /** A broker that has just started on a busy machine is slow. */
    static final long PATIENCE = 30_000;

    final DefaultMQAdminExt admin = new DefaultMQAdminExt(PATIENCE);
    final BufferedReader words = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    String nameServer;
    String broker;
    String version;

    void run(String[] args) {
        nameServer = args[0];
        broker = args[1];
        version = args[2];
        int status = 1;
        try {
            words.readLine();
            drive();
            status = 0;
        } catch (Exception e) {
            e.printStackTrace();
        }
        // By hand: the client's threads would keep the process alive.
        System.exit(status);
    }

    abstract void createGroups() throws Exception;

    abstract void broadcast(DefaultMQPushConsumer consumer);

    /** Takes away what a slave could not take over. */
    void prepareForSlave() throws Exception {
    }

    /** Whatever this version has beside the rest. */
    abstract void more() throws Exception;

    private void drive() throws Exception {
        admin.setNamesrvAddr(nameServer);
        admin.setInstanceName("admin");
        admin.setVipChannelEnabled(false);
        admin.start();
        tables();
        reached("tables");
        backlog();
        reached("backlog");
        for (int perm : new int[] {0, 2, 4, 7}) {
            String name = perm == 0 ? "closed" : perm == 2 ? "writes" : perm == 4 ? "reads" : "inherits";
            createTopic(name, 2, 2, perm);
        }
        reached("permissions");
        prepareForSlave();
    }

    private void reached(String stage) throws IOException {
        System.out.println("reached " + stage);
        words.readLine();
    }

    private void tables() throws Exception {
        createTopic("orders", 4, 8, 6);
        for (int tries = 0; ; tries++) {
            try {
                admin.examineTopicRouteInfo("orders");
                break;
            } catch (Exception e) {
                if (tries == 100) {
                    throw e;
                }
                pause(200);
            }
        }
        // Only now: what a name server says of order when a broker registers, the broker's table has from then on.
        admin.createAndUpdateKvConfig("ORDER_TOPIC_CONFIG", "orders", "demo-0:4");
        admin.getKVConfig("ORDER_TOPIC_CONFIG", "orders");
        admin.getKVListByNamespace("ORDER_TOPIC_CONFIG");
        admin.examineBrokerClusterInfo();
        admin.fetchAllTopicList();
        admin.fetchTopicsByCLuster("demo");
        admin.getNameServerConfig(Collections.singletonList(nameServer));
        admin.getBrokerConfig(broker);
        admin.fetchBrokerRuntimeStats(broker);
        admin.getAllSubscriptionGroup(broker, PATIENCE);
    }

    private void backlog() throws Exception {
        admin.deleteKvConfig("NO_SUCH", "none");
        Properties settings = new Properties();
        settings.setProperty("orderMessageEnable", "false");
        admin.updateNameServerConfig(settings, Collections.singletonList(nameServer));
        settings = new Properties();
        settings.setProperty("brokerPermission", "6");
        admin.updateBrokerConfig(broker, settings);

        createGroups();
        createTopic("%RETRY%billing", 1, 1, 6);
        createTopic("shrunk", 4, 2, 6);
        for (int queue = 0; queue < 5; queue++) {
            admin.updateConsumeOffset(broker, "billing", queue("orders", queue), 0);
        }
        admin.updateConsumeOffset(broker, "billing", queue("%RETRY%billing", 0), 0);

        DefaultMQPushConsumer watching = consumer("watching", "*");
        broadcast(watching);
        watching.start();
        DefaultMQPushConsumer shipping = consumer("shipping", "red || blue");
        shipping.start();

        TransactionMQProducer producer = new TransactionMQProducer("golden-producer");
        producer.setNamesrvAddr(nameServer);
        producer.setClientIP("127.0.0.1");
        producer.setInstanceName("producer");
        producer.setVipChannelEnabled(false);
        producer.setTransactionListener(this);
        producer.start();
        for (int number = 0; number < 3; number++) {
            producer.send(message("red"), queue("orders", 0));
        }
        producer.send(message("blue"), queue("orders", 1));
        // Queue 2: one that comes back from the delay of a second, and one that is not due for long.
        for (int level : new int[] {1, 18}) {
            Message delayed = message("red");
            delayed.setDelayTimeLevel(level);
            producer.send(delayed, queue("orders", 2));
        }
        producer.sendMessageInTransaction(message("red"), null);
        more(producer);

        // On disk at the broker, not in the memory of the client alone.
        while (shipping.getDefaultMQPushConsumerImpl().getOffsetStore()
                .readOffset(queue("orders", 0), ReadOffsetType.READ_FROM_STORE) != 3) {
            pause(200);
        }
        admin.examineTopicStats("orders");
        admin.examineConsumerConnectionInfo("shipping");
        admin.getConsumerRunningInfo("shipping", "127.0.0.1@golden", false);
        admin.getConsumeStatus("orders", "shipping", "127.0.0.1@golden");
        admin.maxOffset(queue("orders", 0));
        admin.minOffset(queue("orders", 0));
        more();
    }

    /** Messages that only this version can send. */
    void more(TransactionMQProducer producer) throws Exception {
    }

    void createTopic(String name, int readQueues, int writeQueues, int perm) throws Exception {
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(name, readQueues, writeQueues, perm));
    }

    DefaultMQPushConsumer consumer(String group, String expression) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setClientIP("127.0.0.1");
        consumer.setInstanceName("golden");
        consumer.setVipChannelEnabled(false);
        consumer.setPersistConsumerOffsetInterval(1000);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe("orders", expression);
        consumer.registerMessageListener((MessageListenerConcurrently)
            (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        return consumer;
    }

    static Message message(String tag) {
        return new Message("orders", tag, "golden".getBytes(StandardCharsets.UTF_8));
    }

    static MessageQueue queue(String topic, int id) {
        return new MessageQueue(topic, BROKER_NAME, id);
    }

    static void pause(long millis) throws InterruptedException {
        Thread.sleep(millis);
    }

    @Override
    public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
        return LocalTransactionState.UNKNOW;
    }

    @Override
    public LocalTransactionState checkLocalTransaction(MessageExt message) {
        return LocalTransactionState.UNKNOW;
    }
}
