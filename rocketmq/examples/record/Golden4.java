import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.common.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.common.subscription.SubscriptionGroupConfig;

/** What 4.x has in packages of its own. */
public final class Golden4 extends Golden {
    public static void main(String[] args) {
        new Golden4().run(args);
    }

    @Override
    void createGroups() throws Exception {
        for (String name : new String[] {"billing", "shipping", "watching"}) {
            SubscriptionGroupConfig group = new SubscriptionGroupConfig();
            group.setGroupName(name);
            group.setRetryMaxTimes(5);
            admin.createAndUpdateSubscriptionGroupConfig(broker, group);
        }
    }

    @Override
    void broadcast(DefaultMQPushConsumer consumer) {
        consumer.setMessageModel(MessageModel.BROADCASTING);
    }

    @Override
    void more() {
    }
}
