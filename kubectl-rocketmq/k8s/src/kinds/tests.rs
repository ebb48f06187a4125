//! Tables of what is read and of what is refused, with the exact words.

use insta::assert_snapshot;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use proptest::prelude::*;

use super::*;
use crate::objects::{Kind, Object};

/// A NameService with these fields beside those that must be there.
fn name_service(fields: &str) -> String {
    kind("NameService", "demo", &format!("size: 1, nameServiceImage: apache/rocketmq:5.3.3, {fields}"))
}

/// A Broker with these fields beside those that must be there.
fn broker(fields: &str) -> String {
    kind(
        "Broker",
        "broker",
        &format!("size: 2, brokerImage: apache/rocketmq:5.3.3, storageMode: EmptyDir, {fields}"),
    )
}

fn kind(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: rocketmq.apache.org/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
    )
}

fn read_name_service(text: &str) -> NameService {
    parse(text).unwrap().name_services().next().unwrap().1.clone()
}

fn read_broker(text: &str) -> Broker {
    parse(text).unwrap().brokers().next().unwrap().1.clone()
}

/// The error of a text that is refused, and its hint.
fn refusal(text: &str) -> String {
    let InputError { message, hint } = parse(text).unwrap_err();
    hint.map_or(message.clone(), |hint| format!("{message}\nhint: {hint}"))
}

#[test]
fn a_text_that_is_no_yaml_names_line_and_column() {
    assert_snapshot!(refusal("kind: Broker\nspec: [1\nb: 2\n"), @"line 3, column 2: this is not YAML: illegal placement of ':' indicator");
    assert_snapshot!(refusal("kind: Broker\nspec: a: b\n"), @"line 2, column 8: this is not YAML: mapping values are not allowed in this context");
    assert_snapshot!(refusal("kind: Broker\n\tspec: {}\n"), @"line 1, column 7: this is not YAML: while scanning a plain scalar, found a tab");
    assert_snapshot!(refusal("kind: 'Broker\n"), @"line 1, column 7: this is not YAML: unclosed quote");
    assert_snapshot!(refusal("kind: Broker\nkind: Broker\n"), @"line 2, column 1: this is not YAML: duplicate mapping key `kind` is not allowed here");
}

#[test]
fn a_text_without_a_document_is_refused() {
    for text in ["", "\n", "---\n", "# nothing\n", "---\n---\n# nothing\n", "null\n"] {
        assert_eq!(refusal(text), "it holds no document");
    }
}

#[test]
fn a_document_of_another_shape_is_refused() {
    assert_snapshot!(refusal("hello"), @"document 1: must be a mapping with apiVersion, kind, metadata and spec");
    assert_snapshot!(refusal("- a\n- b\n"), @"document 1: must be a mapping with apiVersion, kind, metadata and spec");
    assert_snapshot!(refusal("apiVersion: v1\n"), @"document 1: `kind` is missing");
    assert_snapshot!(refusal("kind: Broker\n"), @"document 1 (Broker): `apiVersion` is missing");
    assert_snapshot!(refusal("kind: [Broker]\n"), @"document 1: `kind` must be a text, but is a list");
    assert_snapshot!(refusal("apiVersion: v1\nkind: Broker\nmetadata: {name: broker}\n"), @"Broker/broker: `apiVersion` must be `rocketmq.apache.org/v1alpha1`, but is `v1`");
    assert_snapshot!(refusal("apiVersion: rocketmq.apache.org/v1alpha1\nkind: Broker\nspec: {}\n"), @"document 1 (Broker): `metadata.name` is missing");
    assert_snapshot!(refusal("apiVersion: rocketmq.apache.org/v1alpha1\nkind: Broker\nmetadata: {}\n"), @"document 1 (Broker): `metadata.name` is missing");
    assert_snapshot!(refusal("apiVersion: rocketmq.apache.org/v1alpha1\nkind: Broker\nmetadata: {name: b}\n"), @"Broker/b: `spec` is missing");
    assert_snapshot!(refusal("apiVersion: rocketmq.apache.org/v1alpha1\nkind: Broker\nmetadata: {name: b}\nspec: 1\n"), @"Broker/b: `spec` must be a mapping");
    assert_snapshot!(refusal("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n"), @"document 1 (ConfigMap): `metadata.name` is missing");
}

#[test]
fn other_kinds_are_refused_by_name() {
    assert_snapshot!(refusal(&kind("Brokr", "broker", "")), @r"
    Brokr/broker: kind `Brokr` is not one of `NameService`, `Broker` or `ConfigMap`
    hint: did you mean `Broker`?
    ");
    assert_snapshot!(refusal(&kind("TopicTransfer", "orders", "topic: orders")), @"TopicTransfer/orders: kind `TopicTransfer` is not supported yet");
    assert_snapshot!(refusal(&kind("Controller", "controller", "size: 3")), @"Controller/controller: kind `Controller` is not supported yet");
    assert_snapshot!(refusal("apiVersion: v1\nkind: Service\nmetadata: {name: console}\n"), @r"
    Service/console: kind `Service` is not one of `NameService`, `Broker` or `ConfigMap`
    hint: apply other kinds with `kubectl apply`
    ");
    // Nothing of a text with one bad document is applied.
    assert_snapshot!(refusal(&format!("{}---\nkind: Service\n", name_service("storageMode: EmptyDir"))), @r"
    document 2 (Service): kind `Service` is not one of `NameService`, `Broker` or `ConfigMap`
    hint: apply other kinds with `kubectl apply`
    ");
}

#[test]
fn a_console_is_skipped_with_a_warning_that_names_it() {
    let parsed =
        parse(&format!("{}---\n{}", kind("Console", "console", "nameServers: \"\""), broker(""))).unwrap();
    assert_eq!(parsed.documents.iter().map(Document::reference).collect::<Vec<_>>(), ["Broker/broker"]);
    assert_eq!(parsed.warnings, ["Console/console is skipped: kubectl rocketmq runs no console"]);
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_known_one() {
    assert_snapshot!(refusal(&broker("nameServer: \"\"")), @r"
    Broker/broker: unknown field `spec.nameServer`
    hint: did you mean `spec.nameServers`?
    ");
    assert_snapshot!(refusal(&broker("NameServers: \"\"")), @r"
    Broker/broker: unknown field `spec.NameServers`
    hint: did you mean `spec.nameServers`?
    ");
    assert_snapshot!(refusal(&name_service("storageMode: EmptyDir, nameServers: a")), @r"
    NameService/demo: unknown field `spec.nameServers`
    hint: did you mean `spec.nameServiceImage`?
    ");
    assert_snapshot!(refusal(&broker("resources: {limit: {memory: 1Gi}}")), @r"
    Broker/broker: unknown field `spec.resources.limit`
    hint: did you mean `spec.resources.limits`?
    ");
    assert_snapshot!(refusal(&broker("env: [{name: A, valeu: b}]")), @r"
    Broker/broker: unknown field `spec.env[0].valeu`
    hint: did you mean `spec.env[0].value`?
    ");
    assert_snapshot!(refusal(&broker("volumes: [{name: a, configmap: {name: a}}]")), @r"
    Broker/broker: unknown field `spec.volumes[0].configmap`
    hint: did you mean `spec.volumes[0].configMap`?
    ");
    assert_snapshot!(refusal(&broker("affinity: {nodeAffinity: {requiredDuringScheduling: {}}}")), @r"
    Broker/broker: unknown field `spec.affinity.nodeAffinity.requiredDuringScheduling`
    hint: did you mean `spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`?
    ");
    assert_snapshot!(refusal(&format!("{}speck: {{}}\n", broker(""))), @r"
    Broker/broker: unknown field `speck`
    hint: did you mean `spec`?
    ");
    assert_snapshot!(refusal("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatas: {a: b}\n"), @r"
    ConfigMap/a: unknown field `datas`
    hint: did you mean `data`?
    ");
    assert_snapshot!(refusal("apiVersion: v1\nkind: ConfigMap\nmetadata: {nam: a}\n"), @r"
    document 1 (ConfigMap): unknown field `metadata.nam`
    hint: did you mean `metadata.name`?
    ");
}

#[test]
fn sizes_that_are_none_are_refused() {
    let size = |size: &str| {
        refusal(&kind(
            "NameService",
            "demo",
            &format!("size: {size}, nameServiceImage: a, storageMode: EmptyDir"),
        ))
    };
    assert_snapshot!(size("0"), @"NameService/demo: `spec.size` must be at least 1, but is 0");
    assert_snapshot!(size("-1"), @"NameService/demo: `spec.size` must be at least 1, but is -1");
    assert_snapshot!(size("two"), @"NameService/demo: `spec.size` must be a whole number, but is the text `two`");
    assert_snapshot!(size("\"2\""), @"NameService/demo: `spec.size` must be a whole number, but is the text `2`");
    assert_snapshot!(size("1.5"), @"NameService/demo: `spec.size` must be a whole number, but is 1.5");
    assert_snapshot!(size(""), @"NameService/demo: `spec.size` must be a whole number, but is empty");
    assert_snapshot!(size("[1]"), @"NameService/demo: `spec.size` must be a whole number, but is a list");
    assert_snapshot!(size("99999999999"), @"NameService/demo: `spec.size` must be at most 1000, but is 99999999999");
    assert_snapshot!(refusal(&kind("NameService", "demo", "nameServiceImage: a, storageMode: EmptyDir")), @"NameService/demo: `spec.size` is missing");
    assert_snapshot!(refusal(&broker("replicaPerGroup: -1")), @"Broker/broker: `spec.replicaPerGroup` must be at least 0, but is -1");
}

#[test]
fn values_that_are_none_are_refused() {
    assert_snapshot!(refusal(&broker("hostNetwork: 1")), @"Broker/broker: `spec.hostNetwork` must be `true` or `false`, but is 1");
    assert_snapshot!(refusal(&broker("replicationMode: async")), @r"
    Broker/broker: `spec.replicationMode` must be `ASYNC` or `SYNC`, but is `async`
    hint: did you mean `ASYNC`?
    ");
    assert_snapshot!(refusal(&broker("imagePullPolicy: [Always]")), @"Broker/broker: `spec.imagePullPolicy` must be `Always`, `IfNotPresent` or `Never`, but is a list");
    assert_snapshot!(refusal(&broker("env: [{name: A, value: 1}]")), @r"
    Broker/broker: `spec.env[0].value` must be a text, but is 1
    hint: put the value in quotes
    ");
    assert_snapshot!(refusal(&broker("dnsPolicy: None")), @r"
    Broker/broker: `spec.dnsPolicy` must be `ClusterFirst`, `ClusterFirstWithHostNet` or `Default`, but is `None`
    hint: did you mean `Default`?
    ");
    assert_snapshot!(refusal(&broker("env: {name: A}")), @"Broker/broker: `spec.env` must be a list, but is a mapping");
    assert_snapshot!(refusal(&broker("nodeSelector: {ssd: true}")), @r"
    Broker/broker: `spec.nodeSelector.ssd` must be a text, but is `true`
    hint: put the value in quotes
    ");
    assert_snapshot!(refusal(&broker("nameServers: 192.168.130.33")), @r#"
    Broker/broker: `spec.nameServers` must list host:port, but has `192.168.130.33`
    hint: separate several by `;`, or write "" for the NameService of the namespace
    "#);
    assert_snapshot!(refusal(&broker("nameServers: \"192.168.130.33:9876,192.168.130.34:9876\"")), @r#"
    Broker/broker: `spec.nameServers` must list host:port, but has `192.168.130.33:9876,192.168.130.34:9876`
    hint: separate several by `;`, or write "" for the NameService of the namespace
    "#);
    assert_snapshot!(refusal(&kind("Broker", "b", "size: 1, brokerImage: \"\", storageMode: EmptyDir")), @"Broker/b: `spec.brokerImage` must be the name of an image, but is ``");
    assert_snapshot!(refusal(&kind("Broker", "b", "size: 1, brokerImage: a")), @"Broker/b: `spec.storageMode` is missing");
    assert_snapshot!(refusal(&name_service("storageMode: Hostpath")), @r"
    NameService/demo: `spec.storageMode` must be `EmptyDir`, `HostPath`, `StorageClass` or `NFS`, but is `Hostpath`
    hint: did you mean `HostPath`?
    ");
    assert_snapshot!(refusal(&name_service("storageMode: HostPath")), @"NameService/demo: `spec.hostPath` is missing");
    assert_snapshot!(refusal(&name_service("storageMode: HostPath, hostPath: data")), @"NameService/demo: `spec.hostPath` must be an absolute path, but is `data`");
    assert_snapshot!(refusal(&name_service("storageMode: StorageClass")), @"NameService/demo: `spec.volumeClaimTemplates` is missing");
    assert_snapshot!(refusal(&name_service("storageMode: NFS, volumeClaimTemplates: [{metadata: {name: a}}]")), @"NameService/demo: `spec.volumeClaimTemplates[0].spec` is missing");
    assert_snapshot!(refusal(&name_service("storageMode: NFS, volumeClaimTemplates: [{spec: {}}, {spec: {}}]")), @"NameService/demo: `spec.volumeClaimTemplates[1]` is not supported: one template holds all data");
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    assert_snapshot!(refusal(&broker("clusterMode: CONTROLLER")), @r"
    Broker/broker: `spec.clusterMode` `CONTROLLER` is not supported yet
    hint: `STATIC`, or no `clusterMode` at all, has fixed masters and slaves
    ");
    assert_snapshot!(refusal(&broker("env: [{name: A}, {name: NAMESRV_ADDR, value: \"a:9876\"}]")), @r"
    Broker/broker: `spec.env[1]` sets `NAMESRV_ADDR`, which would fix the broker's list of name servers
    hint: remove it; `spec.nameServers` says where the broker registers
    ");
    assert_snapshot!(refusal(&broker("volumes: [{name: rocketmq-config, emptyDir: {}}]")), @"Broker/broker: `spec.volumes[0].name` `rocketmq-config` is taken by a volume of kubectl rocketmq");
    assert_snapshot!(refusal(&name_service(
        "storageMode: StorageClass, volumeClaimTemplates: [{metadata: {annotations: \
         {volume.beta.kubernetes.io/storage-class: a}}, spec: {storageClassName: b}}]"
    )), @"NameService/demo: `spec.volumeClaimTemplates[0]` names two StorageClasses: `a` in its annotation and `b` in its spec");
}

#[test]
fn names_that_kubernetes_would_refuse_are_refused() {
    let name_service =
        |name: &str| kind("NameService", name, "size: 3, nameServiceImage: a, storageMode: EmptyDir");
    let broker = |name: &str| {
        kind("Broker", name, "size: 11, replicaPerGroup: 1, brokerImage: a, storageMode: EmptyDir")
    };
    assert_snapshot!(refusal(&name_service("Demo")), @"NameService/Demo: `metadata.name` must be lower case letters, digits and `-`, with a letter or digit at both ends, but is `Demo`");
    assert_snapshot!(refusal(&name_service("demo.mq")), @"NameService/demo.mq: `metadata.name` must be lower case letters, digits and `-`, with a letter or digit at both ends, but is `demo.mq`");
    assert_snapshot!(refusal(&name_service("demo-")), @"NameService/demo-: `metadata.name` must be lower case letters, digits and `-`, with a letter or digit at both ends, but is `demo-`");
    assert_snapshot!(refusal(&name_service("1demo")), @"NameService/1demo: `metadata.name` must begin with a letter, but is `1demo`");
    assert_snapshot!(refusal(&name_service(&"n".repeat(53))), @"NameService/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: `metadata.name` is too long: the name of StatefulSet `nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn` would have 53 characters, 52 are allowed");
    assert_snapshot!(refusal(&broker(&"b".repeat(40))), @"Broker/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: `metadata.name` is too long: the name of StatefulSet `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-10-replica-1` would have 53 characters, 52 are allowed");
    assert_snapshot!(refusal("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_b}\n"), @"ConfigMap/A_b: `metadata.name` must be lower case letters, digits, `-` and `.`, but is `A_b`");
    parse(&name_service(&"n".repeat(52))).unwrap();
    parse(&broker(&"b".repeat(39))).unwrap();
}

#[test]
fn documents_that_would_make_the_same_object_are_refused() {
    let name_service =
        |name: &str| kind("NameService", name, "size: 1, nameServiceImage: a, storageMode: EmptyDir");
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    assert_snapshot!(refusal(&format!("{0}---\n{0}", name_service("demo"))), @"NameService/demo occurs twice");
    assert_snapshot!(refusal(&format!("{config_map}---\n{config_map}")), @"ConfigMap/a occurs twice");
    assert_snapshot!(refusal(&format!("{}---\n{}", name_service("broker-1-master"), broker(""))), @r"
    NameService/broker-1-master and Broker/broker would both make StatefulSet/broker-1-master
    hint: give one of them another name
    ");
    assert_snapshot!(refusal(&format!("{}---\n{}", name_service("broker-0"), broker(""))), @r"
    NameService/broker-0 and Broker/broker would both make PodDisruptionBudget/broker-0
    hint: give one of them another name
    ");
    assert_eq!(parse(&format!("{}---\n{}", name_service("broker"), broker(""))).unwrap().documents.len(), 2);
}

#[test]
fn documents_are_for_one_namespace() {
    let config_map = |namespace: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {namespace}-a, namespace: {namespace}}}\n"
        )
    };
    let two = parse(&format!("{}---\n{}", config_map("mq"), config_map("other"))).unwrap();
    assert_eq!(
        two.namespace(None).unwrap_err().message,
        "ConfigMap/other-a is for namespace `other`, ConfigMap/mq-a for `mq`"
    );
    let one = parse(&format!("{}---\n{}", broker(""), config_map("mq"))).unwrap();
    assert_eq!(one.namespace(None), Ok(Some("mq")));
    assert_eq!(one.namespace(Some("mq")), Ok(Some("mq")));
    assert_eq!(
        one.namespace(Some("a")).unwrap_err().message,
        "ConfigMap/mq-a is for namespace `mq`, the command line for `a`"
    );
    assert_eq!(parse(&broker("")).unwrap().namespace(None), Ok(None));
}

#[test]
fn name_servers_are_the_namespaces_or_a_list() {
    let check = |field: &str, expected| assert_eq!(read_broker(&broker(field)).name_servers, expected);
    let list = |addresses: &[&str]| {
        NameServersOf::Addresses(addresses.iter().map(|text| (*text).to_owned()).collect())
    };
    check("", NameServersOf::TheNamespace);
    check("nameServers: ", NameServersOf::TheNamespace);
    check("nameServers: \"\"", NameServersOf::TheNamespace);
    check("nameServers: 192.168.130.33:9876", list(&["192.168.130.33:9876"]));
    check("nameServers: \"a.b.svc:9876; 10.0.0.1:9876;\"", list(&["a.b.svc:9876", "10.0.0.1:9876"]));
}

#[test]
fn a_claim_has_its_storage_class_where_kubernetes_looks_for_it() {
    let claim = |template: &str| -> PersistentVolumeClaim {
        let text = name_service(&format!("storageMode: NFS, volumeClaimTemplates: [{template}]"));
        match read_name_service(&text).storage {
            Storage::Claim(claim) => *claim,
            other => panic!("{other:?}"),
        }
    };
    let annotated = claim(
        "{metadata: {name: data, annotations: {volume.beta.kubernetes.io/storage-class: nfs}}, spec: {accessModes: [ReadWriteOnce]}}",
    );
    assert_eq!(annotated.spec.unwrap().storage_class_name.as_deref(), Some("nfs"));
    assert_eq!((annotated.metadata.name.as_deref(), annotated.metadata.annotations), (Some("data"), None));
    // The operator's CRD dropped the metadata of templates, so users have files without.
    assert_eq!(claim("{spec: {storageClassName: nfs}}").metadata.name.as_deref(), Some("namesrv-storage"));
}

#[test]
fn a_master_replicates_as_the_broker_says_else_as_its_settings_say() {
    let check = |field: &str, settings, expected| {
        assert_eq!(read_broker(&broker(field)).replication_with(settings), expected, "{field} {settings:?}");
    };
    check("", None, Replication::Async);
    check("", Some("brokerRole=SYNC_MASTER\n"), Replication::Sync);
    check("", Some("# brokerRole=SYNC_MASTER\nbrokerRole = ASYNC_MASTER\n"), Replication::Async);
    check("", Some("brokerRole=SLAVE\n"), Replication::Async);
    check("replicationMode: SYNC", Some("brokerRole=ASYNC_MASTER\n"), Replication::Sync);
    check("replicationMode: ASYNC", Some("brokerRole=SYNC_MASTER\n"), Replication::Async);
}

#[test]
fn a_brokers_settings_are_found_in_its_first_volume() {
    let object = Object::new(Kind::ConfigMap, "mq", "settings")
        .with_field("data", serde_json::json!({"broker-common.conf": "a=1", "other": "b=2"}));
    let check = |volumes: &str, expected: Option<&str>| {
        let broker = read_broker(&broker(&format!("volumes: [{volumes}]")));
        assert_eq!(broker.user_config().and_then(|config| config.text_in(&object)), expected, "{volumes}");
    };
    check("", None);
    check("{name: a, configMap: {name: settings}}", Some("a=1"));
    check(
        "{name: a, configMap: {name: settings, items: [{key: other, path: broker-common.conf}]}}",
        Some("b=2"),
    );
    check("{name: a, configMap: {name: settings, items: [{key: other, path: other}]}}", None);
    check("{name: a, configMap: {name: elsewhere}}", None);
    check("{name: a, emptyDir: {}}, {name: b, configMap: {name: settings}}", None);
}

#[test]
fn numbers_are_read_as_kubectl_reads_them() {
    let broker = read_broker(&broker(
        "resources: {limits: {cpu: 1, memory: 1.5Gi}}, volumes: [{name: a, configMap: {name: a, defaultMode: 0644}}]",
    ));
    assert_eq!(broker.pod.resources.unwrap().limits.unwrap()["cpu"].0, "1");
    assert_eq!(broker.volumes[0].config_map.as_ref().unwrap().default_mode, Some(0o644));
}

#[test]
fn versions_are_read_from_tags() {
    let check = |image: &str, expected: Option<&str>| {
        assert_eq!(
            version_of_image(image).map(|version| version.to_string()).as_deref(),
            expected,
            "{image}"
        );
    };
    check("apache/rocketmq:5.3.3", Some("5.3.3"));
    check("apacherocketmq/rocketmq-broker:4.5.0-alpine-operator-0.3.0", Some("4.5.0"));
    check("registry.example:5000/rocketmq:v5.1.4", Some("5.1.4"));
    check("apache/rocketmq:5.3.3@sha256:0123", Some("5.3.3"));
    check("registry.example:5000/rocketmq", None);
    check("apache/rocketmq", None);
    check("apache/rocketmq:latest", None);
    check("apache/rocketmq@sha256:0123", None);
    check("apache/rocketmq:5.3", None);
}

#[test]
fn changes_are_named_field_by_field() {
    let document = |text: &str| parse(text).unwrap().documents.remove(0);
    let check = |former: &str, new: &str, expected: &[&str]| {
        let found: Vec<String> =
            changes(&document(former), &document(new)).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    };
    let one = broker("replicaPerGroup: 1, env: [{name: A, value: a}]");
    check(&one, &format!("# a comment\n{one}"), &[]);
    check(&one, &broker("env: [{value: a, name: A}], replicaPerGroup: 1, allowRestart: true"), &[]);
    check(
        &one,
        &broker("replicaPerGroup: 2, env: [{name: A, value: b}, {name: B}], hostNetwork: true"),
        &[
            "`spec.replicaPerGroup` 1 -> 2",
            "`spec.env[0].value` \"a\" -> \"b\"",
            "`spec.env[1]` (absent) -> {\"name\":\"B\"}",
            "`spec.hostNetwork` (absent) -> true",
        ],
    );
    check(
        &one,
        &broker("replicaPerGroup: 1"),
        &["`spec.env` [{\"name\":\"A\",\"value\":\"a\"}] -> (absent)"],
    );
}

#[test]
fn pods_on_the_nodes_network_need_a_node_each() {
    let check = |pods: Option<HostNetworkPods>, nodes, expected: Option<&str>| {
        assert_eq!(pods.and_then(|pods| host_network_refusal(&pods, nodes)).as_deref(), expected);
    };
    let three = read_name_service(&kind(
        "NameService",
        "demo",
        "size: 3, nameServiceImage: a, storageMode: EmptyDir, hostNetwork: true",
    ));
    check(
        HostNetworkPods::of_name_service(&three),
        1,
        Some(
            "NameService/demo has `spec.hostNetwork`, so its 3 pods (`spec.size`) need 3 nodes; 1 is schedulable",
        ),
    );
    check(HostNetworkPods::of_name_service(&three), 3, None);
    let four = read_broker(&broker("replicaPerGroup: 1, hostNetwork: true"));
    check(
        HostNetworkPods::of_broker(&four),
        2,
        Some(
            "Broker/broker has `spec.hostNetwork`, so its 4 pods (`spec.size` times one master and its slaves) need 4 \
             nodes; 2 are schedulable",
        ),
    );
    check(HostNetworkPods::of_broker(&read_broker(&broker(""))), 0, None);
}

proptest! {
    #[test]
    fn a_document_written_anew_is_the_same_document(key in "[-._a-zA-Z0-9]{1,20}", text in any::<String>()) {
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {key: text},
        });
        let document = parse(&object.to_string()).unwrap().documents.remove(0);
        prop_assert_eq!(parse(document.yaml()).unwrap().documents, vec![document]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        drop(parse(&text));
    }
}
