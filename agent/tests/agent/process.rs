//! The watch of the RocketMQ beside the agent.

use std::time::Duration;

use fakes::FakeBroker;
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;

use crate::support::{Pod, VERSIONS, broker_at, name_server, setup};

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
        assert_eq!(running.agent.describe().process.list_period_millis, 0, "the fake does not tell it");

        broker.close_connections();
        running.until("it tells again", || asked(RequestCode::GET_BROKER_RUNTIME_INFO) == 2).await;
        running.until("it answers again", answers).await;
    }
}

#[tokio::test]
async fn how_often_a_broker_reads_its_list_again_is_what_it_says() {
    let server = name_server(Version::V5_3_3).await;
    let mut setup = setup(Version::V5_3_3, &[&server]);
    setup.settings.set("updateNameServerAddrPeriod", "120000");
    let broker = FakeBroker::start(setup).await.unwrap();
    let pod = Pod::of_broker(&broker, Some(Version::V5_3_3));
    pod.mount_list(1, &[&server]);
    let running = pod.start();
    let told = || running.agent.describe().process.list_period_millis;
    running.until("it tells its period", || told() == 120_000).await;

    // It read the setting when it started: a shorter one counts when it starts again.
    let client = Client::connect(&broker.address(), Duration::from_secs(5)).await.unwrap();
    let shorter = Properties::from_iter([("updateNameServerAddrPeriod", "5000")]);
    client.update_broker_config(&shorter).await.unwrap();
    let asked = || broker.received_of(RequestCode::GET_BROKER_CONFIG).len();
    let before = asked();
    running.until("it is asked again", || asked() > before + 2).await;
    assert_eq!(told(), 120_000);
}
