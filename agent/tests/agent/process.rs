//! The watch of the RocketMQ beside the agent.

use rocketmq::remoting::request_code::RequestCode;

use crate::support::{Pod, VERSIONS, broker_at, name_server};

#[tokio::test]
async fn a_broker_tells_its_runtime_once_a_connection_and_is_asked_again_and_again() {
    for version in VERSIONS {
        let server = name_server(version).await;
        let broker = broker_at(version, &[&server]).await;
        let asked = |code| broker.received_of(code).len();
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&server]);
        let running = pod.start();
        let answers = || running.agent.process.borrow().answers;
        running.until("it is asked again", || asked(RequestCode::GET_BROKER_CONFIG) > 3).await;
        assert_eq!((asked(RequestCode::GET_BROKER_RUNTIME_INFO), answers()), (1, true), "{version}");
        assert!(running.agent.process.borrow().boot_timestamp_millis > 0, "{version}");

        broker.close_connections();
        running.until("it tells again", || asked(RequestCode::GET_BROKER_RUNTIME_INFO) == 2).await;
        running.until("it answers again", answers).await;
    }
}
