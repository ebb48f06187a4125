//! Clusters that are taken down: what goes, and what stays. Part of the cluster of [`crate::node`].

use lab::e2e::backlog::{Backlog, Fate, Wanted};
use lab::e2e::clusters::{self, HostFolders};
use lab::e2e::groups;
use lab::e2e::journal;
use lab::e2e::judge::{Judge, masters};
use lab::e2e::pods;
use lab::e2e::scene::Scene;
use lab::e2e::snapshot::Snapshot;
use lab::e2e::watch::ensure;
use lab::error::{Context, Result};
use rocketmq::model::topic::TopicConfig;

/// A topic of one queue.
const TOPIC: &str = "invoices";

/// What nobody has read when the cluster is deleted.
const UNREAD: u32 = 96;

/// `unmanaged` is the namespace before the cluster was applied that is deleted. A cluster of `again`, which has the same
/// names, finds its data.
pub(crate) fn delete_leaves_data(
    scene: &Scene,
    judge: &Judge,
    folders: &HostFolders,
    unmanaged: &Snapshot,
    (version, again): (&'static str, &str),
) -> Result<()> {
    let kubectl = &scene.kubectl;
    judge.make_topics(kubectl)?;
    scene.step("leaves messages unread");
    let topic = TopicConfig::new(&TOPIC.parse().context(|| format!("`{TOPIC}` is no topic name"))?, 1);
    for master in masters(kubectl)? {
        judge.make(&master, std::slice::from_ref(&topic), &[])?;
    }
    judge.await_routes(kubectl)?;
    let wanted = Wanted { topic: TOPIC, broker: groups::name(0), messages: UNREAD, fate: Fate::Unread };
    let unread = Backlog::make(scene, judge, version, wanted)?;
    let file = scene.file("cluster.yaml", again)?;

    scene.step("asks: without a terminal and without --yes nothing is deleted");
    let before = Snapshot::of_namespace(kubectl)?;
    let asked = kubectl.rocketmq(&["delete", "-f", &file])?.expect_code(3)?;
    let text = format!("{}{}", asked.stdout, asked.stderr);
    for goes in ["StatefulSet/name-service", "StatefulSet/broker-0-master"] {
        ensure(text.contains(goes), || format!("`{goes}` is not in the plan:\n{text}"))?;
    }
    let stays = folders.broker.display().to_string();
    ensure(text.contains(&stays), || format!("`{stays}` is not named as staying:\n{text}"))?;
    before.is_unwritten(&Snapshot::of_namespace(kubectl)?)?;

    scene.step("deletes");
    kubectl.rocketmq(&["delete", "-f", &file, "-y"])?.expect_code(0)?;
    unmanaged.is_unwritten(&Snapshot::of_namespace(kubectl)?)?;
    ensure(!journal::operations(kubectl)?.is_empty(), || "the journals are gone".to_owned())?;
    let topics = folders.broker.join("store/broker-0-master/config/topics.json");
    ensure(topics.is_file(), || format!("{} is gone", topics.display()))?;

    scene.step("applies again and finds the data");
    clusters::apply(scene, again)?;
    judge.has_topics(kubectl)?;
    let broker = pods::pod(kubectl, &groups::master(0))?;
    let left = judge.unread(&broker, &unread.wanted().subscription(), 0)?;
    ensure(left == u64::from(UNREAD), || format!("of {UNREAD} unread messages {left} are there"))?;
    unread.finish(scene)
}
