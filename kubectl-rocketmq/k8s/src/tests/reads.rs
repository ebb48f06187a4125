//! Pods in order, their trouble, endpoints, nodes.

use serde_json::{Value, json};

use crate::tests::fake_api::FakeApi;

fn pod(api: &FakeApi, name: &str, waiting: &str) {
    let state = json!({"waiting": {"reason": waiting}});
    api.put(
        &format!("/api/v1/namespaces/mq/pods/{name}"),
        json!({
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "mq", "labels": crate::names::stateful_set_selector("demo")},
            "spec": {"containers": [{"name": "broker", "image": "rocketmq"}]},
            "status": {"containerStatuses": [
                {"name": "broker", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}
            ]},
        }),
    );
}

fn warning(api: &FakeApi, reason: &str, message: &str) {
    api.put(
        &format!("/api/v1/namespaces/mq/events/{reason}"),
        json!({
            "kind": "Event", "metadata": {"name": reason}, "involvedObject": {}, "type": "Warning",
            "reason": reason, "message": message, "lastTimestamp": "2026-01-01T00:00:00Z",
        }),
    );
}

fn node(api: &FakeApi, name: &str, spec: Value) {
    api.put(
        &format!("/api/v1/nodes/{name}"),
        json!({"kind": "Node", "metadata": {"name": name}, "spec": spec}),
    );
}

#[tokio::test]
async fn pods_come_in_the_order_of_their_numbers() {
    let api = FakeApi::default();
    for name in ["demo-10", "demo-2", "demo-0"] {
        pod(&api, name, "");
    }
    let pods = api.cluster().pods("demo").await.unwrap();
    assert_eq!(pods.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>(), ["demo-0", "demo-2", "demo-10"]);
    assert!(api.cluster().pods("other").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_volume_that_is_not_mounted_is_told_from_events_and_only_before_the_start() {
    let api = FakeApi::default();
    pod(&api, "demo-0", "ContainerCreating");
    let cluster = api.cluster();
    let creating = cluster.pod("demo-0").await.unwrap().unwrap();
    assert_eq!(cluster.trouble(&creating).await, None);
    warning(&api, "FailedMount", "hostPath type check failed");
    assert_eq!(cluster.trouble(&creating).await.as_deref(), Some("FailedMount: hostPath type check failed"));
    api.touch("pods/demo-0", |pod| pod["status"]["containerStatuses"][0]["state"] = json!({"running": {}}));
    let running = cluster.pod("demo-0").await.unwrap().unwrap();
    assert_eq!(cluster.trouble(&running).await, None);
}

#[tokio::test]
async fn a_stateful_set_that_may_make_no_pods_says_why() {
    let api = FakeApi::default();
    assert_eq!(api.cluster().trouble_of_stateful_set("demo").await, None);
    warning(&api, "FailedCreate", "exceeded quota: pods=0");
    assert_eq!(api.cluster().trouble_of_stateful_set("demo").await, None);
    api.put(
        "/apis/apps/v1/namespaces/mq/statefulsets/demo",
        json!({"kind": "StatefulSet", "metadata": {"name": "demo"}, "spec": {}}),
    );
    let trouble = api.cluster().trouble_of_stateful_set("demo").await;
    assert_eq!(trouble.as_deref(), Some("FailedCreate: exceeded quota: pods=0"));
}

#[tokio::test]
async fn host_names_of_all_slices_are_published() {
    let api = FakeApi::default();
    for (slice, hosts) in [("a", ["demo-1", "demo-0"]), ("b", ["demo-2", "demo-0"])] {
        let endpoints: Vec<Value> =
            hosts.iter().map(|host| json!({"addresses": ["10.0.0.1"], "hostname": host})).collect();
        api.put(
            &format!("/apis/discovery.k8s.io/v1/namespaces/mq/endpointslices/{slice}"),
            json!({
                "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints,
                "metadata": {"name": slice, "labels": {"kubernetes.io/service-name": "demo"}},
            }),
        );
    }
    let names = api.cluster().endpoint_hostnames("demo").await.unwrap();
    assert_eq!(names, ["demo-0", "demo-1", "demo-2"]);
}

#[tokio::test]
async fn nodes_that_take_no_pods_do_not_count() {
    let api = FakeApi::default();
    node(&api, "free", json!({}));
    node(&api, "cordoned", json!({"unschedulable": true}));
    node(&api, "control", json!({"taints": [{"key": "c", "effect": "NoSchedule"}]}));
    node(&api, "preferred", json!({"taints": [{"key": "p", "effect": "PreferNoSchedule"}]}));
    assert_eq!(api.cluster().schedulable_nodes().await.unwrap(), 2);
}

#[tokio::test]
async fn a_namespace_exists_or_not() {
    let api = FakeApi::default();
    assert!(!api.cluster().namespace_exists().await.unwrap());
    api.put("/api/v1/namespaces/mq", json!({"kind": "Namespace", "metadata": {"name": "mq"}}));
    assert!(api.cluster().namespace_exists().await.unwrap());
}
