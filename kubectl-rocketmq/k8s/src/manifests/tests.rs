//! The manifests of each kind, whole, and what holds for all of them.

use insta::assert_snapshot;
use serde_json::Value;

use super::*;
use crate::kinds::{Parsed, parse};

fn context() -> Context {
    Context {
        cluster: "demo".to_owned(),
        namespace: "mq".to_owned(),
        agent_image: "kubectl-rocketmq/agent:0.1.0".to_owned(),
        rocketmq_version: None,
    }
}

fn example(path: &str) -> Parsed {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path);
    parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn kind(kind: &str, spec: &str) -> Parsed {
    let text = format!(
        "apiVersion: rocketmq.apache.org/v1alpha1\nkind: {kind}\nmetadata:\n  name: demo\n  labels: {{team: orders}}\n  \
         annotations: {{note: kept}}\nspec: {{{spec}}}\n"
    );
    parse(&text).unwrap()
}

/// All objects of all documents.
fn objects(parsed: &Parsed) -> Vec<Object> {
    let context = context();
    let config_maps = parsed.config_maps().map(|(_, document)| config_map(document, &context));
    let name_servers = parsed.name_services().flat_map(|(_, document)| name_servers(document, &context));
    let brokers = parsed.brokers().flat_map(|(_, document)| {
        let replication = document.replication_with(None);
        (0..document.size)
            .flat_map(|group| broker_group(document, group, replication, None, &context))
            .collect::<Vec<_>>()
    });
    config_maps.chain(name_servers).chain(brokers).collect()
}

fn yaml(objects: &[Object]) -> String {
    let documents: Vec<String> =
        objects.iter().map(|object| serde_saphyr::to_string(&object.to_manifest()).unwrap()).collect();
    documents.join("---\n")
}

/// The one StatefulSet of a kind with one pod.
fn stateful_set(parsed: &Parsed) -> Value {
    let found = objects(parsed).into_iter().find(|object| object.kind == Kind::StatefulSet).unwrap();
    found.to_manifest()
}

fn pod(stateful_set: &Value) -> &Value {
    &stateful_set["spec"]["template"]["spec"]
}

fn variable<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == name)?["value"].as_str()
}

fn broker_with(spec: &str) -> Value {
    stateful_set(&kind(
        "Broker",
        &format!("size: 1, brokerImage: apache/rocketmq:5.3.3, storageMode: EmptyDir, {spec}"),
    ))
}

fn name_service_with(spec: &str) -> Value {
    stateful_set(&kind("NameService", &format!("size: 1, nameServiceImage: apache/rocketmq:5.3.3, {spec}")))
}

#[test]
fn name_servers_on_empty_dir() {
    let parsed = example("demo.yaml");
    let (_, document) = parsed.name_services().next().unwrap();
    assert_snapshot!(yaml(&name_servers(document, &context())));
}

#[test]
fn name_servers_on_the_nodes_network() {
    assert_snapshot!(yaml(&objects(&example("operator-0.3.0/nameservice.yaml"))));
}

#[test]
fn a_broker_group_on_host_path() {
    let parsed = example("operator-0.1/broker.yaml");
    let (_, document) = parsed.brokers().next().unwrap();
    assert_snapshot!(yaml(&broker_group(document, 1, document.replication_with(None), None, &context())));
}

#[test]
fn a_broker_group_with_settings_and_memory() {
    assert_snapshot!(yaml(&objects(&example("operator-0.3.0/broker.yaml"))));
}

#[test]
fn a_broker_with_every_field() {
    assert_snapshot!(yaml(&objects(&kind(
        "Broker",
        "size: 1, nameServers: '', clusterMode: STATIC, replicationMode: SYNC, replicaPerGroup: 0, \
         brokerImage: registry.example/rocketmq:latest, imagePullPolicy: Never, allowRestart: false, hostNetwork: true, \
         dnsPolicy: Default, storageMode: StorageClass, hostPath: /unused, scalePodName: demo-0-master-0, \
         volumeClaimTemplates: [{metadata: {name: data, labels: {tier: fast}}, spec: {accessModes: [ReadWriteOnce], \
         storageClassName: fast, resources: {requests: {storage: 8Gi}}}}], \
         resources: {limits: {memory: 4Gi}}, env: [{name: TZ, value: UTC}], \
         volumes: [{name: settings, configMap: {name: settings}}, {name: scratch, emptyDir: {}}], \
         affinity: {podAntiAffinity: {}}, tolerations: [{key: mq, operator: Exists}], nodeSelector: {disk: ssd}, \
         securityContext: {runAsUser: 1000, fsGroup: 1000}, containerSecurityContext: {readOnlyRootFilesystem: false}, \
         imagePullSecrets: [{name: pull}], priorityClassName: high, serviceAccountName: mq, podAnnotations: {a: b}"
    ))));
}

#[test]
fn a_config_map_is_applied_as_it_is() {
    let parsed = example("operator-0.3.0/cluster.yaml");
    let (_, document) = parsed.config_maps().next().unwrap();
    assert_snapshot!(yaml(&[config_map(document, &context())]));
}

#[test]
fn every_example_is_read_and_has_manifests() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut folders = vec![folder];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let parsed = parse(&std::fs::read_to_string(&path).unwrap());
                assert!(!objects(&parsed.unwrap()).is_empty(), "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read >= 7, "{read}");
}

#[test]
fn no_pod_has_credentials_of_the_api_server() {
    for parsed in
        [example("operator-0.3.0/cluster.yaml"), example("operator-0.1/broker.yaml"), example("demo.yaml")]
    {
        for object in objects(&parsed).iter().filter(|object| object.kind == Kind::StatefulSet) {
            let manifest = object.to_manifest();
            assert_eq!(pod(&manifest)["automountServiceAccountToken"], false);
            assert!(!pod(&manifest)["volumes"].to_string().contains("serviceAccountToken"));
        }
    }
}

#[test]
fn every_object_is_managed_and_belongs_to_its_cluster() {
    for object in objects(&example("operator-0.3.0/cluster.yaml")) {
        assert!(object.is_managed(), "{}", object.reference());
        assert_eq!(object.labels[names::LABEL_INSTANCE], "demo", "{}", object.reference());
        assert_eq!(object.namespace, "mq", "{}", object.reference());
    }
}

#[test]
fn masters_replicate_as_they_are_told_and_slaves_are_slaves() {
    let parsed = example("operator-0.1/broker.yaml");
    let (_, document) = parsed.brokers().next().unwrap();
    let roles: Vec<_> = broker_group(document, 0, Replication::Sync, None, &context())[1..]
        .iter()
        .map(|object| {
            let manifest = object.to_manifest();
            let agent = &pod(&manifest)["initContainers"][0];
            [env::BROKER_NAME, env::BROKER_ID, env::BROKER_ROLE]
                .map(|name| variable(agent, name).unwrap().to_owned())
        })
        .collect();
    assert_eq!(roles, [["broker-0", "0", "SYNC_MASTER"], ["broker-0", "1", "SLAVE"]]);
}

#[test]
fn only_the_agent_of_a_master_awaits_metadata_and_nothing_else_differs() {
    let parsed = example("operator-0.1/broker.yaml");
    let (_, document) = parsed.brokers().next().unwrap();
    let group = |awaits| broker_group(document, 2, Replication::Async, awaits, &context());
    let (plain, mut awaiting) = (group(None), group(Some("1a2b3c4d")));
    assert_eq!(plain[0], awaiting[0]);
    assert_eq!(plain[2], awaiting[2], "a slave takes its metadata from its master");
    assert_ne!(plain[1], awaiting[1]);
    let template = &mut awaiting[1].content["spec"]["template"]["spec"]["initContainers"][0]["env"];
    assert_eq!(
        template.as_array_mut().unwrap().pop().unwrap(),
        serde_json::json!({"name": "ROCKETMQ_AGENT_AWAIT_METADATA", "value": "1a2b3c4d"})
    );
    assert_eq!(plain[1], awaiting[1]);
}

#[test]
fn a_stateful_set_tells_the_context_that_it_was_made_in() {
    let told = Context { rocketmq_version: Some("5.1.4".parse().unwrap()), ..context() };
    let tagged = Context { rocketmq_version: Some("4.5.0".parse().unwrap()), ..context() };
    let parsed = example("operator-0.1/broker.yaml");
    let (_, document) = parsed.brokers().next().unwrap();
    for (made_in, expected) in [(told.clone(), told), (context(), tagged)] {
        let objects = broker_group(document, 0, Replication::Async, None, &made_in);
        assert_eq!(Context::of(&objects[1]), Some(expected));
        assert_eq!(Context::of(&objects[0]), None, "a PodDisruptionBudget has no agent");
    }
    let parsed = kind("Broker", "size: 1, brokerImage: a:latest, storageMode: EmptyDir");
    let (_, document) = parsed.brokers().next().unwrap();
    let objects = broker_group(document, 0, Replication::Async, None, &context());
    assert_eq!(Context::of(&objects[1]), Some(context()), "an unknown version stays unknown");
}

#[test]
fn the_version_is_the_users_word_else_the_tags_else_unknown() {
    let version = |image: &str, told: Option<&str>| {
        let told = told.map(|version| version.parse().unwrap());
        let context = Context { rocketmq_version: told, ..context() };
        let parsed =
            kind("NameService", &format!("size: 1, nameServiceImage: {image}, storageMode: EmptyDir"));
        let (_, document) = parsed.name_services().next().unwrap();
        let manifest = name_servers(document, &context).pop().unwrap().to_manifest();
        variable(&pod(&manifest)["initContainers"][0], env::ROCKETMQ_VERSION).map(str::to_owned)
    };
    assert_eq!(version("apache/rocketmq:4.5.0", None).as_deref(), Some("4.5.0"));
    assert_eq!(version("apache/rocketmq:4.5.0", Some("5.3.3")).as_deref(), Some("5.3.3"));
    assert_eq!(version("apache/rocketmq:latest", None).as_deref(), Some(""));
}

#[test]
fn java_has_memory_that_fits_and_the_users_word_comes_last() {
    let java = |stateful_set: &Value| {
        let container = &pod(stateful_set)["containers"][0];
        let last = container["env"].as_array().unwrap().last().unwrap();
        assert_eq!(last["name"], "JAVA_OPT_EXT");
        last["value"].as_str().unwrap().strip_prefix("-Duser.home=/var/lib/rocketmq ").unwrap().to_owned()
    };
    let limit = |memory: &str| format!("resources: {{limits: {{memory: {memory}}}}}");
    let broker = |spec: &str| java(&broker_with(spec));
    assert_snapshot!(broker(""), @"-Xms512m -Xmx512m -Xmn256m -XX:MaxDirectMemorySize=512m");
    assert_snapshot!(broker(&limit("12288Mi")), @"-Xms6144m -Xmx6144m -Xmn3072m -XX:MaxDirectMemorySize=3072m");
    assert_snapshot!(broker(&limit("1Gi")), @"-Xms512m -Xmx512m -Xmn256m -XX:MaxDirectMemorySize=320m");
    assert_snapshot!(broker(&limit("512M")), @"-Xms244m -Xmx244m -Xmn122m -XX:MaxDirectMemorySize=320m");
    assert_snapshot!(broker(&limit("1073741824")), @"-Xms512m -Xmx512m -Xmn256m -XX:MaxDirectMemorySize=320m");
    assert_snapshot!(broker("env: [{name: BROKER_MEM, value: -Xmx1g}]"), @"-Xms512m -Xmx512m -Xmn256m -XX:MaxDirectMemorySize=512m $(BROKER_MEM)");
    assert_snapshot!(broker("env: [{name: JAVA_OPT_EXT, value: '-Xmx2g $(A)'}, {name: BROKER_MEM, value: -Xmx1g}]"), @"-Xms512m -Xmx512m -Xmn256m -XX:MaxDirectMemorySize=512m $(BROKER_MEM) -Xmx2g $(A)");
    assert_snapshot!(
        broker("env: [{name: JAVA_OPT_EXT, valueFrom: {configMapKeyRef: {name: a, key: java}}}]"),
        @"-Xms512m -Xmx512m -Xmn256m -XX:MaxDirectMemorySize=512m $(USER_JAVA_OPT_EXT)"
    );
    let name_service = |spec: &str| java(&name_service_with(&format!("storageMode: EmptyDir, {spec}")));
    assert_snapshot!(name_service(""), @"-Xms256m -Xmx256m -Xmn128m -XX:MaxDirectMemorySize=256m");
    assert_snapshot!(name_service(&limit("1024Mi")), @"-Xms512m -Xmx512m -Xmn256m -XX:MaxDirectMemorySize=256m");
    assert_snapshot!(name_service(&limit("100Mi")), @"-Xms64m -Xmx64m -Xmn32m -XX:MaxDirectMemorySize=64m");
}

#[test]
fn what_a_broker_mounts_is_made_by_its_agent() {
    let stateful_set = broker_with("");
    let mounts = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().unwrap().iter();
        let text = |mount: &Value, field: &str| mount[field].as_str().unwrap_or_default().to_owned();
        mounts
            .map(|mount| {
                let folder = text(mount, "subPath") + &text(mount, "subPathExpr");
                format!("{} {} {folder}", text(mount, "name"), text(mount, "mountPath")).trim_end().to_owned()
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(mounts(&pod(&stateful_set)["containers"][0]), @r"
    rocketmq-config /etc/rocketmq
    rocketmq-data /var/lib/rocketmq/logs logs/demo-0-master
    rocketmq-data /var/lib/rocketmq/store store/demo-0-master
    ");
    assert_snapshot!(mounts(&pod(&stateful_set)["initContainers"][0]), @r"
    rocketmq-data /var/rocketmq/volume
    rocketmq-config /var/rocketmq/conf
    rocketmq-record /etc/rocketmq-agent/record
    rocketmq-agent-key /etc/rocketmq-agent/key
    ");
    assert_snapshot!(mounts(&pod(&name_service_with("storageMode: EmptyDir"))["containers"][0]), @r"
    rocketmq-config /etc/rocketmq
    rocketmq-data /var/lib/rocketmq/logs logs/$(POD_NAME)
    rocketmq-data /var/lib/rocketmq/store store/$(POD_NAME)
    ");
}

#[test]
fn the_kubelet_gives_volumes_to_the_agent_where_it_can() {
    let group = |spec: &str| pod(&name_service_with(spec))["securityContext"]["fsGroup"].as_i64();
    let claim = "volumeClaimTemplates: [{spec: {accessModes: [ReadWriteOnce]}}]";
    assert_eq!(group("storageMode: EmptyDir"), Some(3000));
    assert_eq!(group(&format!("storageMode: StorageClass, {claim}")), Some(3000));
    assert_eq!(group(&format!("storageMode: NFS, {claim}")), Some(3000));
    assert_eq!(group("storageMode: HostPath, hostPath: /data"), None);
    assert_eq!(group("storageMode: EmptyDir, securityContext: {fsGroup: 5}"), Some(5));
}
