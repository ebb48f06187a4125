//! Broker groups that scale while something breaks: an agent, a pod, a broker, the line to the cluster, a full volume; bundles
//! that mean no good; and a consumer that does not get on.

use std::time::Duration;

use lab::e2e::clusters::{self, BROKER_CONTAINER, HostFolders, Shape, name_server_pods};
use lab::e2e::drains::{self, Untouched};
use lab::e2e::groups;
use lab::e2e::hostile;
use lab::e2e::journal::{self, Journals, Moment};
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::line::Line;
use lab::e2e::load::Load;
use lab::e2e::mass;
use lab::e2e::plugin::{Ended, Running};
use lab::e2e::pods::{self, Pod};
use lab::e2e::processes;
use lab::e2e::results::exhaustive;
use lab::e2e::runs::Runs;
use lab::e2e::scene::{Lane, PODS_WITHIN, Scene};
use lab::e2e::slow::Slow;
use lab::e2e::small_volume::SmallVolume;
use lab::e2e::traffic::{TOPICS, few_messages};
use lab::e2e::watch::{self, ensure};
use lab::error::{LabError, Result};
use lab::wait::Look;
use rocketmq::metadata::difference;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 1, replicas: 0 };

/// Groups of the source, 125 bytes each on their way at least: 1.4 MiB, and no routes to compare.
const SUBSCRIPTION_GROUPS: usize = 12_000;

/// In the middle of that bundle, and more than any other connection carries meanwhile: 415 KiB in 240 s were seen.
const IN_ITS_MIDDLE: u64 = 3 << 18;

/// Twice before its end.
const BEFORE_ITS_END: u64 = 1 << 18;

/// Until when a bundle is under way: the new pod must have been started.
const UNDER_WAY_WITHIN: Duration = Duration::from_secs(240);

/// What is printed of an operation that came to nothing.
const UNDONE: &str = "is undone: everything is as it was before";

#[test]
#[ignore = "needs the lab"]
fn fault_in_the_middle_of_an_import_ends_well_or_is_undone() -> Verdict {
    let about = "A broker group joins, and something dies in the middle of its import";
    exhaustive("broker-faults", about, Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        CLUSTER.apply(scene)?;
        judge.make_topics(kubectl)?;
        bundles_that_mean_no_good_are_refused_and_nothing_is_written(scene, &judge)?;
        let source = pods::pod(kubectl, &groups::master(0))?;
        judge.make_many_groups(&source, &mass::incompressible_groups(SUBSCRIPTION_GROUPS))?;
        let mut faults = Faults { scene, judge: &judge, line: Line::open(scene)?, size: 1 };

        faults.meet("deletes the new pod while its gate is closed", |faults| {
            let new = faults.waits_behind_its_gate()?;
            kubectl.run(&["delete", "pod", &new.name, "--wait=false", "--grace-period=1"]).map(drop)
        })?;
        faults.meet("kills the source's agent", |_| processes::kill_agent(&source))?;
        faults.meet("kills the new one's agent", |faults| {
            processes::kill_agent(&faults.waits_behind_its_gate()?)
        })?;
        source_that_hangs_is_not_waited_for_without_end(&faults, &source)?;
        let size = faults.size;
        faults.meet("cuts the line to the cluster twice", |faults| {
            faults.line.cut();
            faults.line.hold_at(BEFORE_ITS_END);
            faults.line.await_held(UNDER_WAY_WITHIN)?;
            faults.line.cut();
            Ok(())
        })?;
        ensure(faults.size == size + 1, || "a line that was cut was the end of the operation".to_owned())
    })
}

/// A cluster whose scale-out meets one fault after the other.
struct Faults<'a> {
    scene: &'a Scene,
    judge: &'a Judge,
    line: Line,
    /// How many groups there are.
    size: u32,
}

impl Faults<'_> {
    /// Scales by one group and lets `fault` happen in the middle of the import. Demands that there is one group more,
    /// with everything, or that all is as it was; and in both cases that no broker has restarted.
    fn meet(&mut self, what: &str, fault: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let kubectl = &self.scene.kubectl;
        self.scene.step(what);
        let (runs, untouched) =
            (Runs::of(kubectl, self.judge)?, Untouched::now(kubectl, self.judge, self.size)?);
        let ended = self.in_the_middle_of_an_import(fault)?;
        if ended.code == Some(0) {
            self.scene.step("it ended well");
            self.size += 1;
            // An agent that was killed takes its time to run again.
            await_true("a cluster without faults", || groups::are(kubectl, self.judge, self.size))?;
            runs.are_still(&Runs::of(kubectl, self.judge)?)?;
            return self.has_everything();
        }
        let ended = ended.expect_code(1)?;
        self.scene.step("it was undone");
        drains::says_lines(kubectl, &ended, &[&[UNDONE]])?;
        await_true("everything as it was", || untouched.is_still(kubectl, self.judge, TOPICS[0]))
    }

    /// Scales by one group, and lets `fault` happen while a bundle is on its way and held in its middle.
    fn in_the_middle_of_an_import(&self, fault: impl FnOnce(&Self) -> Result<()>) -> Result<Ended> {
        let kubectl = &self.scene.kubectl;
        let former = journal::operations(kubectl)?;
        let mut journals = Journals::watch(kubectl)?;
        let size = (self.size + 1).to_string();
        let running = Running::start(self.line.kubectl(), &groups::scale_arguments(&size), "")?;
        let happened = journals.await_moment(Moment::Started("import-metadata"), &former).and_then(|_| {
            self.line.hold_at(IN_ITS_MIDDLE);
            self.line.await_held(UNDER_WAY_WITHIN)?;
            fault(self)
        });
        self.line.let_go();
        match happened {
            Ok(()) => running.wait(),
            Err(error) => {
                // It may have ended by itself.
                let said = running.kill().map(|ended| ended.stderr).unwrap_or_default();
                Err(error.with_output(&said))
            }
        }
    }

    /// The new master's pod: its broker has not been started, and no name server knows of it.
    fn waits_behind_its_gate(&self) -> Result<Pod> {
        let kubectl = &self.scene.kubectl;
        let pod = pods::pod(kubectl, &groups::master(self.size))?;
        let run = pod.containers.get(BROKER_CONTAINER).filter(|run| !run.id.is_empty());
        ensure(run.is_none(), || format!("`{}` has been started before its metadata: {run:?}", pod.name))?;
        for name_server in name_server_pods(kubectl)? {
            let listed = self.judge.groups(&name_server)?;
            ensure(!listed.contains(&groups::name(self.size)), || {
                format!("`{}` lists {listed:?} while a gate is closed", name_server.name)
            })?;
        }
        Ok(pod)
    }

    fn has_everything(&self) -> Result<()> {
        let tables = |group: u32| {
            let pod = pods::pod(&self.scene.kubectl, &groups::master(group))?;
            self.judge.tables(&groups::name(group), &broker_address(&pod))
        };
        let difference = difference(&tables(0)?, &tables(self.size - 1)?);
        ensure(difference.is_empty(), || format!("the new group differs: {difference:?}"))
    }
}

/// A broker that takes connections and answers nothing. Its metadata are there already, but whether the new group has what
/// was added meanwhile is not known, so it does not take part.
fn source_that_hangs_is_not_waited_for_without_end(faults: &Faults<'_>, source: &Pod) -> Result<()> {
    let Faults { scene, judge, size, .. } = faults;
    let kubectl = &scene.kubectl;
    scene.step("stops the source's Java");
    let untouched = Untouched::now(kubectl, judge, *size)?;
    let ended = faults
        .in_the_middle_of_an_import(|_| processes::signal_java(kubectl, source, BROKER_CONTAINER, "STOP"));
    processes::signal_java(kubectl, source, BROKER_CONTAINER, "CONT")?;
    drains::says_lines(kubectl, &ended?.expect_code(1)?, &[&[UNDONE]])?;
    // It registers again within 30 s where it was forgotten.
    await_true("everything as it was", || untouched.is_still(kubectl, judge, TOPICS[0]))
}

fn await_true(what: &str, is_true: impl Fn() -> Result<()>) -> Result<()> {
    watch::until(what, PODS_WITHIN, || match is_true() {
        Ok(()) => Look::Ready(()),
        Err(error) => Look::NotYet(error.report()),
    })
}

fn bundles_that_mean_no_good_are_refused_and_nothing_is_written(scene: &Scene, judge: &Judge) -> Result<()> {
    let kubectl = &scene.kubectl;
    let pod = pods::pod(kubectl, &groups::master(0))?;
    let good = scene.folder().join("good.tar");
    let exported = good.display().to_string();
    kubectl.rocketmq(&["metadata", "export", &pod.name, "--file", &exported])?.expect_code(0)?;
    let untouched = Untouched::now(kubectl, judge, 1)?;
    let tables = || judge.tables(&groups::name(0), &broker_address(&pod));
    let (before, operations) = (tables()?, journal::operations(kubectl)?);
    for bundle in hostile::bundles(&good, scene.folder())? {
        scene.step(&format!("imports {}", bundle.what));
        let ended = kubectl.rocketmq(&["metadata", "import", &pod.name, &bundle.file, "-y"])?;
        let ended = ended.expect_code(2)?;
        drains::says_lines(kubectl, &ended, &[&[&bundle.reason], &["nothing was changed"]])?;
    }
    let difference = difference(&before, &tables()?);
    ensure(difference.is_empty(), || format!("the broker has changed: {difference:?}"))?;
    let now = journal::operations(kubectl)?;
    ensure(now == operations, || format!("refused, and it began an operation: {now:?}"))?;
    untouched.is_still(kubectl, judge, TOPICS[0])
}

/// Of the small volume: what one broker takes, and as much again.
const VOLUME_MIB: u64 = 192;

/// Less than the 64 MiB that must stay free beside twice the bundle.
const LEFT_FREE_MIB: u64 = 60;

#[test]
#[ignore = "needs the lab"]
fn full_volume_is_told_with_numbers_and_undone() -> Verdict {
    let about = "A broker group joins on a volume that is full";
    exhaustive("broker-faults-full-volume", about, Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        let folders = HostFolders::make(scene)?;
        let volume = SmallVolume::mount(&folders.broker, VOLUME_MIB)?;
        clusters::apply(scene, &CLUSTER.yaml_on_host(&folders))?;
        judge.make_topics(kubectl)?;
        let untouched = Untouched::now(kubectl, &judge, 1)?;

        scene.step("fills the volume up, and scales");
        volume.fill(LEFT_FREE_MIB)?;
        let ended = kubectl.rocketmq(&groups::scale_arguments("2"))?.expect_code(1)?;
        let numbers =
            ["data volume", "MiB free", "a bundle of 1 MiB needs 65 MiB: twice its size, and 64 MiB"];
        drains::says_lines(kubectl, &ended, &[&numbers, &[UNDONE]])?;
        untouched.is_still(kubectl, &judge, TOPICS[0])?;
        let tables = folders.broker.join("store/broker-1-master/config");
        ensure(!tables.exists(), || format!("{} was written", tables.display()))?;

        scene.step("makes room, and scales");
        volume.empty()?;
        kubectl.rocketmq(&groups::scale_arguments("2"))?.expect_code(0)?;
        groups::are(kubectl, &judge, 2)
    })
}

/// The group whose consumer does not get on.
const SLOW: &str = "slow-readers";

/// What [`few_messages`] sends to one topic.
const MESSAGES: u64 = 32;

/// Until when a drain has said who holds it back: it speaks each 30 s.
const NAMED_WITHIN: Duration = Duration::from_secs(240);

#[test]
#[ignore = "needs the lab"]
fn slow_consumer_is_waited_for_and_named() -> Verdict {
    let about = "A broker group leaves that a slow consumer reads from";
    exhaustive("broker-faults-slow-consumer", about, Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        Shape { groups: 2, ..CLUSTER }.apply(scene)?;
        judge.make_topics(kubectl)?;
        let slow = Slow::start(scene, CLUSTER.version, TOPICS[0], SLOW)?;
        let load = Load { topics: vec![TOPICS[0].to_owned()], ..Load::default() };
        few_messages(scene, CLUSTER.version, "few", &clusters::addresses(kubectl, 1), &load)?;

        scene.step("scales 2 -> 1");
        let watching = [groups::scale_arguments("1").as_slice(), &["--watch"]].concat();
        let mut running = Running::start(kubectl, &watching, "")?;
        let named = is_named(kubectl, &mut running, &slow).and_then(|()| {
            scene.step("lets the consumer get on");
            slow.hurry()
        });
        if let Err(error) = named {
            // It may have ended by itself.
            let said = running.kill().map(|ended| ended.stderr).unwrap_or_default();
            return Err(error.with_output(&said));
        }
        let counts = slow.finish()?;
        ensure(counts.taken >= MESSAGES, || format!("{MESSAGES} were sent: {counts:?}"))?;
        running.wait()?.expect_code(0)?;
        groups::are(kubectl, &judge, 1)
    })
}

/// The drain has a row for the group it waits for, with its client's address; the group's broker is still there.
fn is_named(kubectl: &Kubectl, running: &mut Running, slow: &Slow) -> Result<()> {
    let address = slow.address()?;
    let is_row = |line: &str| {
        line.trim_start().starts_with(&groups::name(1)) && line.contains(SLOW) && line.contains(&address)
    };
    watch::until("the drain to name who holds it back", NAMED_WITHIN, || match running.stderr() {
        Ok(said) if said.lines().any(is_row) => Look::Ready(()),
        Ok(said) => Look::NotYet(said.lines().last().unwrap_or_default().to_owned()),
        Err(error) => Look::Never(error),
    })?;
    let leaving = pods::pod(kubectl, &groups::master(1))?;
    ensure(leaving.ready, || format!("pod `{}` has left already", leaving.name))
        .map_err(|error| LabError::new("a drain did not wait").because(error))
}
