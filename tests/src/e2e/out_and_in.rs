//! Broker groups 2 -> 3 -> 2 under one traffic, on any version and mode of RocketMQ. A test may do other things between.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::e2e::clusters::{self, BROKER_CONTAINER, DEFAULT_REGISTRATION, Shape, name_server_pods};
use crate::e2e::full_metadata::{BothTables, FullMetadata, delayed_topic, sent_to, topic_name};
use crate::e2e::groups;
use crate::e2e::judge::{Judge, broker_address};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::load::{Load, Reader};
use crate::e2e::pods;
use crate::e2e::runs::Runs;
use crate::e2e::scene::Scene;
use crate::e2e::traffic::{Lowest, Traffic, few_messages};
use crate::e2e::watch::{self, ensure};
use crate::error::{LabError, Result};
use crate::wait::{self, Look};

/// How long traffic runs before a change.
pub const BEFORE: Duration = Duration::from_secs(20);

/// How long traffic runs after a change: two periods in which clients ask for routes.
pub const AFTER: Duration = Duration::from_secs(60);

/// Until when the new group must be open for writes. A consumer that cannot tell what it holds is waited for 55 s.
const OPENS_WITHIN: Duration = Duration::from_secs(600);

/// Until when each queue of the new group must have been read, once traffic went there for a while.
const READ_WITHIN: Duration = Duration::from_secs(120);

/// The group that reads what it knows by its offsets only, after the scale-out.
const OFFLINE: &str = "group-19";

/// The group that joins and leaves.
const NEW: u32 = 2;

/// Scales a cluster out and in again while messages with tags, delays and another try after a refusal go through it:
/// no send fails, none is lost, no other broker restarts, and the new group has all metadata before its first message.
/// `modes` are more lines of broker.conf.
///
/// # Errors
/// When one of these does not hold.
pub fn scales_out_and_in(scene: &Scene, version: &'static str, modes: &str) -> Result<()> {
    let kubectl = &scene.kubectl;
    let judge = Judge::new()?;
    scene.step("applies one name server and two groups");
    let modes = format!("{DEFAULT_REGISTRATION}\n{modes}");
    clusters::apply(scene, &Shape { version, name_servers: 1, groups: 2, replicas: 0 }.yaml_with(&modes))?;
    let mut groups = OutAndIn::begin(scene, &judge, version)?;
    let before = Runs::of(kubectl, &judge)?;
    watch::pass("the time of traffic before the change", BEFORE)?;
    groups.go_on()?;

    groups.scale_out()?;
    let scaled = Instant::now();
    let late = groups.read_every_first_message(&clusters::addresses(kubectl, 1))?;
    watch::pass("the time of traffic after the change", AFTER.saturating_sub(scaled.elapsed()))?;
    groups.go_on()?;

    groups.scale_in()?;
    watch::pass("the time of traffic after the change", AFTER)?;
    groups.finish(late)?;
    before.are_still(&Runs::of(kubectl, &judge)?)
}

/// Two groups that a third one joins and leaves, under traffic of clients that know the first name server.
#[derive(Debug)]
pub struct OutAndIn<'a> {
    scene: &'a Scene,
    judge: &'a Judge,
    version: &'static str,
    metadata: FullMetadata,
    load: Load,
    traffic: Traffic,
}

impl<'a> OutAndIn<'a> {
    /// Makes the metadata and starts the traffic, after a group that is offline from then on has read everything.
    ///
    /// # Errors
    /// When the cluster does not take them.
    pub fn begin(scene: &'a Scene, judge: &'a Judge, version: &'static str) -> Result<Self> {
        let kubectl = &scene.kubectl;
        let metadata = FullMetadata::of(version)?;
        metadata.make(kubectl, judge)?;
        judge.await_routes(kubectl)?;
        scene.step("runs traffic, after a group that is offline from then on has read everything");
        let name_servers = clusters::addresses(kubectl, 1);
        few_messages(scene, version, "known", &name_servers, &offline())?;
        let load = Load {
            group: Some("group-00".to_owned()),
            tags: Some("TagA||TagB"),
            retry_percent: 5,
            delayed_topic: Some(delayed_topic()),
            readers: readers(),
            ..offline()
        };
        let traffic = Traffic::start_with(scene, version, "groups", &name_servers, &load)?;
        Ok(Self { scene, judge, version, metadata, load, traffic })
    }

    /// Demands that traffic went on since this was asked last.
    ///
    /// # Errors
    /// When it stood still, or a send failed.
    pub fn go_on(&mut self) -> Result<()> {
        self.scene.step(&format!("sent and received {:?}", self.traffic.goes_on()?));
        Ok(())
    }

    /// 2 -> 3.
    ///
    /// # Errors
    /// When the new group opens without all metadata, or is not like the others.
    pub fn scale_out(&self) -> Result<()> {
        let Self { scene, judge, metadata, .. } = self;
        let kubectl = &scene.kubectl;
        scene.step("scales groups 2 -> 3");
        let opened = tables_when_opened(kubectl)?;
        let ended = kubectl.rocketmq(&groups::scale_arguments("3"))?.expect_code(0)?;
        let said = ended.stdout + &ended.stderr;
        if let Some(ordered) = metadata.ordered {
            ensure(said.contains(ordered), || {
                format!("`{ordered}` stays behind, and nobody says so:\n{said}")
            })?;
        }
        let opened = opened.join().map_err(|_| LabError::new("the thread that reads tables panicked"))??;
        metadata.are_in_both(&opened)?;
        groups::are(kubectl, judge, NEW + 1)?;
        gate_is_forgotten_and_nothing_restarted(kubectl)
    }

    /// Every group has begun at the first message of every queue of the new group that it reads: those that were online,
    /// and the one that was offline, whose client is started, knows `name_servers`, and is returned.
    ///
    /// # Errors
    /// When one has read nothing, or skipped something.
    pub fn read_every_first_message(&self, name_servers: &[String]) -> Result<Traffic> {
        reads_every_first_message(&self.traffic, &first_messages(&self.load.readers, &self.metadata))?;
        self.scene.step("starts the group that was offline");
        let late = self.traffic.received_by(self.scene, self.version, "late", name_servers, &offline())?;
        let everything = Reader { group: OFFLINE.to_owned(), topics: sent_to() };
        reads_every_first_message(&late, &first_messages(&[everything], &self.metadata))?;
        Ok(late)
    }

    /// 3 -> 2: what the group's pod held is told, the pod is gone, and no name server lists it any more.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub fn scale_in(&self) -> Result<()> {
        let Self { scene, judge, .. } = self;
        let kubectl = &scene.kubectl;
        let leaving = pods::pod(kubectl, &groups::master(NEW))?;
        scene.step("scales groups 3 -> 2");
        let ended = kubectl.rocketmq(&groups::scale_arguments("2"))?.expect_code(0)?;
        let said = ended.stdout + &ended.stderr;
        let set = format!("{}-master", groups::name(NEW));
        ensure(said.lines().any(|line| line.contains(&set) && line.contains("data")), || {
            format!("nobody says what becomes of the data of `{set}`:\n{said}")
        })?;
        groups::are(kubectl, judge, NEW)?;
        for name_server in name_server_pods(kubectl)? {
            ensure(!judge.lists(&name_server, &broker_address(&leaving))?, || {
                format!(
                    "name server `{}` still lists pod `{}`, which is gone",
                    name_server.name, leaving.name
                )
            })?;
        }
        Ok(())
    }

    /// Ends the traffic, and that of the group that was offline: no send failed, and both have everything.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub fn finish(self, late: Traffic) -> Result<()> {
        let counts = self.traffic.finish()?;
        ensure(counts.refused > 0, || format!("no message was refused: {counts:?}"))?;
        self.scene.step(&format!("sent and received {counts:?}"));
        let late = late.finish_at(counts.acknowledged)?;
        self.scene.step(&format!("the group that was offline received {late:?}"));
        Ok(())
    }
}

/// What the group reads that is offline during the scale-out.
fn offline() -> Load {
    Load {
        topics: sent_to(),
        group: Some(OFFLINE.to_owned()),
        lowest_at: vec![groups::name(NEW)],
        ..Load::default()
    }
}

/// The groups that read all the time, two topics each.
fn readers() -> Vec<Reader> {
    let reader = |number: usize| Reader {
        group: format!("group-{number:02}"),
        topics: vec![topic_name(2 * number), topic_name(2 * number + 1)],
    };
    (1..sent_to().len() / 2).map(reader).collect()
}

/// Asks both masters, by RPC, as soon as a name server shows the new group with W.
fn tables_when_opened(kubectl: &Kubectl) -> Result<JoinHandle<Result<BothTables>>> {
    let (source, new) = (pods::pod(kubectl, &groups::master(0))?, groups::name(NEW));
    let name_server =
        name_server_pods(kubectl)?.pop().ok_or_else(|| LabError::new("there is no name server"))?;
    Ok(std::thread::spawn(move || {
        let judge = Judge::new()?;
        let address = wait::until(&format!("writes to {new}"), OPENS_WITHIN, || {
            match judge.shown_master(&name_server, &topic_name(0), &new) {
                Ok(Some(shown)) if shown.permission.is_writable() => Look::Ready(shown.address),
                Ok(Some(shown)) => Look::NotYet(format!("it is shown with {}", shown.permission)),
                Ok(None) => Look::NotYet("it is not shown".to_owned()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })?;
        let new = judge.tables(&new, &address)?;
        Ok(BothTables { old: judge.tables(&groups::name(0), &broker_address(&source))?, new })
    }))
}

/// The pod was made to wait for its metadata, ran through, and a later one would not wait.
fn gate_is_forgotten_and_nothing_restarted(kubectl: &Kubectl) -> Result<()> {
    let pod = pods::pod(kubectl, &groups::master(NEW))?;
    let awaited = groups::awaited_by_pod(kubectl, &pod.name)?;
    ensure(awaited.as_deref().is_some_and(|token| token.len() == 8), || {
        format!("pod `{}` is not the first of its StatefulSet: it awaits {awaited:?}", pod.name)
    })?;
    for container in [BROKER_CONTAINER, "rocketmq-agent"] {
        let run = pod.container(container)?;
        ensure(run.restarts == 0, || format!("`{container}` of pod `{}` was restarted: {run:?}", pod.name))?;
    }
    Ok(())
}

/// The queues of the new group that these readers read and traffic writes to, by reader.
fn first_messages(readers: &[Reader], metadata: &FullMetadata) -> BTreeMap<String, Vec<String>> {
    let broker = groups::name(NEW);
    let queues = |reader: &Reader| {
        let read = metadata.topics.iter().filter(|topic| reader.topics.contains(&topic.topic_name));
        read.flat_map(|topic| {
            let queue = |queue: u32| format!("{}:{broker}:{queue}", topic.topic_name);
            (0..topic.write_queues).map(queue).collect::<Vec<_>>()
        })
        .collect()
    };
    readers.iter().map(|reader| (reader.group.clone(), queues(reader))).collect()
}

/// Waits until the client's groups have read each of these queues, and demands that they began at offset 0.
fn reads_every_first_message(traffic: &Traffic, wanted: &BTreeMap<String, Vec<String>>) -> Result<()> {
    let unread = |lowest: &Lowest| {
        wanted.iter().find_map(|(group, queues)| {
            let read = lowest.get(group);
            let unread = queues.iter().find(|queue| !read.is_some_and(|read| read.contains_key(*queue)))?;
            Some(format!("{group} has read nothing of {unread}"))
        })
    };
    let lowest = traffic.lowest("a message of every new queue", READ_WITHIN, unread)?;
    for (group, queues) in wanted {
        let skipped = queues.iter().find(|queue| lowest[group][*queue] != 0);
        ensure(skipped.is_none(), || {
            format!("{group} skipped messages of {skipped:?}: {:?}", lowest[group])
        })?;
    }
    Ok(())
}
