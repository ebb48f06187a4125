//! `brokerPermission` that an operation keeps.

use std::fs;

use proto::pb;
use rocketmq::model::permission::Permission;
use rocketmq::model::version::Version;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use tonic::Code;

use crate::served::{Served, fence, key, proved, with_key};
use crate::support::{Pod, VERSIONS, broker_at, name_server};

fn set(number: u64, permission: Permission) -> pb::SetBrokerPermissionRequest {
    pb::SetBrokerPermissionRequest { fence: fence(number), permission: permission.bits() }
}

fn in_file(pod: &Pod) -> Option<String> {
    let text = fs::read_to_string(&pod.config.paths.configuration).unwrap_or_default();
    Properties::from_java(&text).get("brokerPermission").map(str::to_owned)
}

#[tokio::test]
async fn a_permission_is_live_in_the_file_and_kept_over_restarts_of_the_agent() {
    for version in VERSIONS {
        let server = name_server(version).await;
        let broker = broker_at(version, &[&server]).await;
        let pod = with_key(Pod::of_broker(&broker, Some(version)));
        pod.mount_list(1, &[&server]);
        let served = Served::start(&pod).await;
        served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
        assert_eq!(in_file(&pod), None, "nobody keeps one yet");

        let unproved = served.control().set_broker_permission(set(1, Permission::READ)).await.unwrap_err();
        assert_eq!(unproved.code(), Code::Unauthenticated);
        let token = served.prove(&key()).await.unwrap();
        let answer =
            served.control().set_broker_permission(proved(&token, set(1, Permission::READ))).await.unwrap();
        assert_eq!(answer.into_inner().permission, 4);
        assert_eq!(
            (broker.setting("brokerPermission").as_deref(), in_file(&pod).as_deref()),
            (Some("4"), Some("4"))
        );
        drop(served);

        // A new pod has no broker.conf.
        fs::remove_file(&pod.config.paths.configuration).unwrap();
        let served = Served::start(&pod).await;
        served.running.until("the gate is open", || served.running.agent.gate.borrow().open).await;
        assert_eq!(in_file(&pod).as_deref(), Some("4"), "{version}");
    }
}

#[tokio::test]
async fn a_broker_that_is_kept_closed_is_closed_again_and_one_that_is_closed_by_hand_stays_so() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = with_key(Pod::of_broker(&broker, Some(version)));
    pod.mount_list(1, &[&server]);
    let served = Served::start(&pod).await;
    served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
    let token = served.prove(&key()).await.unwrap();
    served.control().set_broker_permission(proved(&token, set(1, Permission::READ))).await.unwrap();
    let state = &served.running.agent.state;
    assert!(!state.metadata().opened);

    broker.set_setting("brokerPermission", "6");
    broker
        .until("it is closed again", |it| it.settings().get("brokerPermission") == Some("4"))
        .await
        .unwrap();
    assert!(state.metadata().opened, "clients may have written meanwhile");

    served.control().set_broker_permission(proved(&token, set(2, Permission::READ_WRITE))).await.unwrap();
    broker.set_setting("brokerPermission", "4");
    let looks = broker.received_of(RequestCode::GET_BROKER_CONFIG).len();
    broker
        .until("the agent has looked again", |it| {
            let looked = it.received().iter().filter(|it| it.code == RequestCode::GET_BROKER_CONFIG);
            looked.count() > looks + 4
        })
        .await
        .unwrap();
    assert_eq!(broker.setting("brokerPermission").as_deref(), Some("4"));
}

#[tokio::test]
async fn a_permission_that_the_broker_does_not_take_is_an_error_and_is_kept_all_the_same() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = with_key(Pod::of_broker(&broker, Some(version)));
    pod.mount_list(1, &[&server]);
    let served = Served::start(&pod).await;
    served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
    let token = served.prove(&key()).await.unwrap();

    broker.refuse(RequestCode::UPDATE_BROKER_CONFIG, Some(ResponseCode::SYSTEM_ERROR));
    let refused =
        served.control().set_broker_permission(proved(&token, set(1, Permission::READ))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().starts_with("the broker cannot be given the permission"), "{refused}");
    assert_eq!(in_file(&pod).as_deref(), Some("4"), "where a restart finds it");
    broker.refuse(RequestCode::UPDATE_BROKER_CONFIG, None);
    broker.until("it is taken away", |it| it.settings().get("brokerPermission") == Some("4")).await.unwrap();
}

#[tokio::test]
async fn what_an_undone_operation_kept_is_forgotten_by_a_pod_that_waits_for_no_metadata() {
    for (opened, kept) in [(false, None), (true, Some("4"))] {
        let version = Version::V5_3_3;
        let server = name_server(version).await;
        let broker = broker_at(version, &[&server]).await;
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&server]);
        let state = serde_json::json!({
            "stamp": "", "fence": 7, "operationId": "op-1", "list": null,
            "metadata": {"committed": "0badcafe", "importing": "", "opened": opened, "permission": 4},
        });
        fs::create_dir_all(pod.config.paths.state.parent().unwrap()).unwrap();
        fs::write(&pod.config.paths.state, state.to_string()).unwrap();
        let running = pod.start();
        running.until("the gate is open", || running.agent.gate.borrow().open).await;
        assert_eq!(in_file(&pod).as_deref(), kept, "opened: {opened}");
    }
}
