//! Broker groups that are not scaled: what needs a cluster of its own. Every message in full.

use lab::e2e::audit::Audit;
use lab::e2e::clusters::{NAME_SERVICE, Shape};
use lab::e2e::groups;
use lab::e2e::judge::Judge;
use lab::e2e::pods;
use lab::e2e::refusals::refused;
use lab::e2e::says::says_all;
use lab::e2e::scene::{Lane, scene};
use lab::error::{Context, Result};
use rocketmq::metadata::{REGISTRATION_LIMIT, registration_bytes};
use rocketmq::model::topic::TopicConfig;
use serde_json::json;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 1, replicas: 0 };

const SOURCE_IS_OLDER: &str = "\
error: broker groups of `broker` are not scaled: pod `old-0-master-0` runs RocketMQ 4.5.0, and the new ones 5.3.3
nothing was changed
";

const SOURCE_IS_ELSEWHERE: &str = "\
error: pod `other-0-master-0` is of cluster `other-service`, not of `name-service`
nothing was changed
";

/// The numbers between are the broker's: its own topics count too.
const TOO_LARGE: [&str; 5] = [
    "error: broker groups of `broker` are not scaled: with ",
    " topics the registration of a new broker would have ",
    " bytes, above the limit of 15 MiB\n",
    "caused by: name servers drop a broker whose registration is larger than 16 MiB, with all its routes\n",
    "nothing was changed\n\nhint: delete topics that nobody uses\n",
];

#[test]
#[ignore = "needs the lab"]
fn scale_out_refuses_a_source_of_another_cluster_or_an_older_version() -> Verdict {
    scene("scale-broker-other-source", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        CLUSTER.apply(scene)?;
        let broker = |name: &str, version: &'static str, name_servers: &str| {
            // Without the ConfigMap, which the cluster has already.
            let documents = Shape { version, ..CLUSTER }.broker();
            let document = documents.split_once("---\n").map_or("", |(_, broker)| broker);
            document
                .replace("name: broker\n", &format!("name: {name}\n"))
                .replace("broker-0-master-0", &format!("{name}-0-master-0"))
                .replace("nameServers: \"\"", &format!("nameServers: \"{name_servers}\""))
        };
        let apply = |name: &str, yaml: &str| {
            let file = scene.file(name, yaml)?;
            kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)
        };
        apply("old.yaml", &broker("old", "4.5.0", ""))?;
        apply("other-service.yaml", &CLUSTER.name_service().replace(NAME_SERVICE, "other-service"))?;
        let other = pods::pod(kubectl, "other-service-0")?;
        apply("other.yaml", &broker("other", "5.3.3", &format!("{}:9876", other.ip)))?;

        let from = |pod| ["--size", "2", "--from", pod];
        refused(scene, "an older source", &from("old-0-master-0"), 3, SOURCE_IS_OLDER)?;
        refused(scene, "a source of another cluster", &from("other-0-master-0"), 3, SOURCE_IS_ELSEWHERE)
    })
}

#[test]
#[ignore = "needs the lab"]
fn scale_out_refuses_more_topics_than_a_registration_can_carry() -> Verdict {
    scene("scale-broker-too-many-topics", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        CLUSTER.apply(scene)?;
        scene.step("makes topics until a registration is too large");
        let topics = topics_over_the_limit()?;
        Judge::new()?.make_many(&pods::pod(kubectl, &groups::master(0))?, &topics)?;
        let audit = Audit::begin(kubectl)?;
        let ended = kubectl.rocketmq(&groups::scale_arguments("2"))?.expect_code(3)?;
        says_all(&ended.stderr, &TOO_LARGE)?;
        audit.nothing_was_written()
    })
}

/// Topics with the longest names, so that few are enough.
fn topics_over_the_limit() -> Result<Vec<TopicConfig>> {
    let topic = |number: usize| -> Result<TopicConfig> {
        let name = format!("{number:0>127}");
        let mut topic = TopicConfig::new(&name.parse().context(|| format!("`{name}` is no topic name"))?, 1);
        for (field, value) in [
            ("topicFilterType", json!("SINGLE_TAG")),
            ("topicSysFlag", json!(0)),
            ("order", json!(false)),
            ("attributes", json!({})),
        ] {
            topic.rest.insert(field.to_owned(), value);
        }
        Ok(topic)
    };
    let first = topic(0)?;
    let bytes = registration_bytes([&first, &first]) - registration_bytes([&first]);
    // Under 16 MiB: more would take the broker out of every route.
    let count = (REGISTRATION_LIMIT + (1 << 18)) / bytes;
    (0..usize::try_from(count).context(|| format!("{count} topics"))?).map(topic).collect()
}
