import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;

/** What 5.x (5.3.1 and later) has in packages of its own, and what only it can do. */
public final class Golden5 extends Golden {
    public static void main(String[] args) {
        new Golden5().run(args);
    }

    @Override
    void createGroups() throws Exception {
        admin.createAndUpdateSubscriptionGroupConfig(broker, group("billing"));
        List<SubscriptionGroupConfig> groups = new ArrayList<>();
        for (String name : new String[] {"shipping", "watching", "popping"}) {
            groups.add(group(name));
        }
        admin.createAndUpdateSubscriptionGroupConfigList(broker, groups);
        TopicConfig invoices = new TopicConfig("invoices", 2, 2, 6);
        invoices.setAttributes(Collections.singletonMap("+message.type", "FIFO"));
        admin.createAndUpdateTopicConfigList(broker, Arrays.asList(invoices, new TopicConfig("payments", 1, 1, 6)));
        admin.setMessageRequestMode(broker, "orders", "billing", MessageRequestMode.POP, 8, PATIENCE);
        admin.setMessageRequestMode(broker, "orders", "popping", MessageRequestMode.POP, 8, PATIENCE);
        admin.updateAndGetGroupReadForbidden(broker, "billing", "payments", false);
    }

    private static SubscriptionGroupConfig group(String name) {
        SubscriptionGroupConfig group = new SubscriptionGroupConfig();
        group.setGroupName(name);
        group.setRetryMaxTimes(5);
        return group;
    }

    @Override
    void broadcast(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }

    @Override
    void more(TransactionMQProducer producer) throws Exception {
        Message later = message("red");
        later.setDelayTimeSec(3600);
        producer.send(later, queue("orders", 3));
    }

    @Override
    void more() throws Exception {
        DefaultMQPushConsumer popping = consumer("popping", "*");
        popping.setClientRebalance(false);
        popping.start();
    }

    /** A slave of 5.3.3 stops at the first topic with an attribute (SlaveSynchronize.syncTopicConfig). */
    @Override
    void prepareForSlave() throws Exception {
        admin.deleteTopicInBroker(Collections.singleton(broker), "invoices");
    }
}
