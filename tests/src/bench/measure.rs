//! One measurement: a large broker, a new group beside it, and what others would take for the same.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::unistd::Pid;
use rocketmq::metadata::difference;
use serde::Serialize;

use crate::bench::agents::{self, Writing};
use crate::bench::{Size, VERSION};
use crate::command::Run;
use crate::e2e::clusters::{self, Shape, name_server_pods};
use crate::e2e::groups;
use crate::e2e::journal;
use crate::e2e::judge::{Judge, broker_address};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::mass;
use crate::e2e::plugin::Running;
use crate::e2e::pods::{self, Pod};
use crate::e2e::processes;
use crate::e2e::scene::{PODS_WITHIN, Scene};
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, LabError, Result};
use crate::wait::Look;

/// How many topics `mqadmin` makes, one by one.
const SAMPLE: u32 = 20;

/// How long the whole scale may take.
const SCALES_WITHIN: Duration = Duration::from_secs(45 * 60);

/// What an agent says when a bundle is whole.
const EXPORTED: &str = "metadata are exported";

/// What an agent says when a bundle is what the broker will start with.
const COMMITTED: &str = "the broker's metadata are committed";

/// What was measured in one run. Times are seconds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measured {
    /// RocketMQ's version.
    pub version: &'static str,
    /// When.
    pub at: Timestamp,
    /// Processors of the machine, which everything shares.
    pub processors: usize,
    /// Topics of the source.
    pub topics: usize,
    /// Its subscription groups.
    pub groups: usize,
    /// The size of their bundle.
    pub bundle_bytes: u64,
    /// What of it is topics.
    pub topic_bytes: u64,
    /// What of it is subscription groups.
    pub group_bytes: u64,
    /// `metadata export` from when it was typed until its file was there.
    pub export: f64,
    /// From then, in the scale, until the other agent had its last byte.
    pub transport: f64,
    /// From then until the new broker could start with it.
    pub import: f64,
    /// From then until it was listed.
    pub broker_start: f64,
    /// The whole command.
    pub scale: f64,
    /// Each step of it.
    pub steps: Vec<StepTook>,
    /// The most memory that the source's agent had meanwhile, in bytes.
    pub source_peak_bytes: u64,
    /// The most that the new one's agent had.
    pub target_peak_bytes: u64,
    /// `scale nameservice` 1 -> 3 with both groups.
    pub name_servers: f64,
    /// The most memory that an agent of a broker had meanwhile, in bytes.
    pub bridging_peak_bytes: u64,
    /// How many topics `mqadmin` made one by one.
    pub sample: u32,
    /// How long it took for all of them.
    pub sample_took: f64,
}

/// How long a step took.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepTook {
    /// Its name.
    pub step: String,
    /// In seconds.
    pub took: f64,
}

/// Measures.
///
/// # Errors
/// When something fails, or the new group does not hold what the source does.
pub(super) fn measure(scene: &Scene, size: &Size) -> Result<Measured> {
    let kubectl = &scene.kubectl;
    let judge = Judge::new()?;
    clusters::apply(scene, &yaml())?;
    let source = pods::pod(kubectl, &groups::master(0))?;
    scene.step(&format!("lets mqadmin make {SAMPLE} topics, one by one"));
    let sample_took = sample(kubectl, &source)?;
    fill(scene, &judge, &source, size)?;

    scene.step("exports");
    let export = export(scene, &source)?;
    let file = scene.folder().join("metadata.tar");
    let (topic_bytes, group_bytes) =
        (length_of(&file, "topics.json")?, length_of(&file, "subscriptionGroup.json")?);

    scene.step("scales 1 -> 2");
    let scaled = scale(kubectl, &source)?;
    let tables = |group: u32| {
        let pod = pods::pod(kubectl, &groups::master(group))?;
        judge.tables(&groups::name(group), &broker_address(&pod))
    };
    let (old, new) = (tables(0)?, tables(1)?);
    ensure(difference(&old, &new).is_empty(), || "the new group differs from the source".to_owned())?;
    ensure(new.topics.len() >= size.topics && new.groups.len() >= size.groups, || {
        format!("only {} topics and {} groups were made", new.topics.len(), new.groups.len())
    })?;
    scene.step("scales name servers 1 -> 3");
    let (name_servers, bridging_peak_kib) = scale_name_servers(kubectl)?;
    let last = mass::topic_name(size.topics.saturating_sub(1));
    for (name_server, group) in name_server_pods(kubectl)?.iter().flat_map(|pod| [(pod, 0), (pod, 1)]) {
        let shown = judge.shown_master(name_server, &last, &groups::name(group))?;
        ensure(shown.is_some(), || format!("{} does not know {last} of group {group}", name_server.name))?;
    }
    let step = |name: &str| {
        let found = scaled.steps.iter().find(|step| step.step == name);
        found.ok_or_else(|| LabError::new(format!("the scale had no step {name}")))
    };
    Ok(Measured {
        version: VERSION,
        at: Timestamp::now(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        topics: size.topics,
        groups: size.groups,
        bundle_bytes: scaled.bundle_bytes,
        topic_bytes,
        group_bytes,
        export,
        transport: seconds(scaled.exported, scaled.received),
        import: seconds(scaled.received, scaled.committed),
        broker_start: seconds(scaled.committed, step("start-brokers")?.done),
        scale: scaled.took.as_secs_f64(),
        steps: scaled
            .steps
            .iter()
            .map(|step| StepTook { step: step.step.clone(), took: seconds(step.started, step.done) })
            .collect(),
        source_peak_bytes: scaled.source_peak_kib << 10,
        target_peak_bytes: scaled.target_peak_kib << 10,
        name_servers: name_servers.as_secs_f64(),
        bridging_peak_bytes: bridging_peak_kib << 10,
        sample: SAMPLE,
        sample_took: sample_took.as_secs_f64(),
    })
}

/// One name server and one group, with the memory that so many topics need: a name server holds each twice in the end.
fn yaml() -> String {
    let shape = Shape { version: VERSION, name_servers: 1, groups: 1, replicas: 0 };
    let memory = |yaml: String, cpu: &str, limit: &str| {
        let request = format!("      cpu: {cpu}\n");
        yaml.replace(&request, &format!("{request}    limits:\n      memory: {limit}\n"))
    };
    memory(memory(shape.yaml(), "10m", "2Gi"), "20m", "3Gi")
}

/// A JVM for each topic, in the name server's pod, on a broker that holds nothing yet.
fn sample(kubectl: &Kubectl, broker: &Pod) -> Result<Duration> {
    let name_server = first_name_server(kubectl)?;
    let numbers: Vec<String> = (1..=SAMPLE).map(|number| number.to_string()).collect();
    let script = format!(
        "cd $ROCKETMQ_HOME/bin && for n in {}; do \
         sh mqadmin updateTopic -n localhost:9876 -b {} -t sample-$n -r 4 -w 4 || exit; done",
        numbers.join(" "),
        broker_address(broker)
    );
    let start = Instant::now();
    let printed = kubectl.sh(&name_server.name, "name-server", &script)?;
    let took = start.elapsed();
    let made = printed.matches("success").count();
    ensure(made == SAMPLE as usize, || format!("mqadmin made {made} of {SAMPLE} topics:\n{printed}"))?;
    Ok(took)
}

fn fill(scene: &Scene, judge: &Judge, source: &Pod, size: &Size) -> Result<()> {
    scene.step(&format!("makes {} topics and {} groups", size.topics, size.groups));
    judge.make_many(source, &mass::topics(size.topics)?)?;
    judge.make_many_groups(source, &mass::groups(size.groups))?;
    let name_server = first_name_server(&scene.kubectl)?;
    let last = mass::topic_name(size.topics.saturating_sub(1));
    watch::until("the last topic at the name server", PODS_WITHIN, || {
        match judge.shown_master(&name_server, &last, &groups::name(0)) {
            Ok(Some(_)) => Look::Ready(()),
            Ok(None) => Look::NotYet("it has no route".to_owned()),
            Err(error) => Look::NotYet(error.report()),
        }
    })
}

fn first_name_server(kubectl: &Kubectl) -> Result<Pod> {
    name_server_pods(kubectl)?.into_iter().next().ok_or_else(|| LabError::new("there is no name server"))
}

/// How long an export takes, the plugin's start and its connections too.
fn export(scene: &Scene, source: &Pod) -> Result<f64> {
    let kubectl = &scene.kubectl;
    let file = scene.folder().join("metadata.tar").display().to_string();
    let typed = Instant::now();
    kubectl.rocketmq(&["metadata", "export", &source.name, "--file", &file])?.expect_code(0)?;
    Ok(typed.elapsed().as_secs_f64())
}

/// A scale and its moments.
struct Scaled {
    took: Duration,
    steps: Vec<journal::StepTimes>,
    bundle_bytes: u64,
    exported: Timestamp,
    received: Timestamp,
    committed: Timestamp,
    source_peak_kib: u64,
    target_peak_kib: u64,
}

fn scale(kubectl: &Kubectl, source: &Pod) -> Result<Scaled> {
    let former = journal::operations(kubectl)?;
    let source_agent = processes::agent(source)?;
    agents::forget_peak(source_agent)?;
    let start = Instant::now();
    let running = Running::start(kubectl, &groups::scale_arguments("2"), "")?;
    let target = watch::until("the new group's agent", PODS_WITHIN, || {
        let found = pods::pod(kubectl, &groups::master(1)).and_then(|pod| Ok((processes::agent(&pod)?, pod)));
        match found {
            Ok(found) => Look::Ready(found),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    let (target_agent, target) = match target {
        Ok(target) => target,
        Err(error) => {
            let said = running.kill().map(|ended| ended.stderr).unwrap_or_default();
            return Err(error.with_output(&said));
        }
    };
    let writing = Writing::watch(target_agent);
    running.wait_for(SCALES_WITHIN)?.expect_code(0)?;
    let took = start.elapsed();

    let operation = journal::operations(kubectl)?.into_iter().find(|id| !former.contains(id));
    let operation = operation.ok_or_else(|| LabError::new("the scale left no journal"))?;
    let (committed, _) = agents::said(kubectl, &target.name, COMMITTED)?;
    let (exported, export) = agents::said(kubectl, &source.name, EXPORTED)?;
    let bundle_bytes = export["bytes"]
        .as_u64()
        .ok_or_else(|| LabError::new(format!("an export without a size: {export}")))?;
    Ok(Scaled {
        took,
        steps: journal::times(kubectl, &operation)?,
        bundle_bytes,
        exported,
        received: writing.had_written(bundle_bytes, exported)?,
        committed,
        source_peak_kib: agents::peak_kib(source_agent)?,
        target_peak_kib: agents::peak_kib(target_agent)?,
    })
}

/// How long two name servers more take, and the most memory of a broker's agent in KiB: each agent stands in for its
/// broker at both.
fn scale_name_servers(kubectl: &Kubectl) -> Result<(Duration, u64)> {
    let agents: Vec<Pid> = (0..2)
        .map(|group| processes::agent(&pods::pod(kubectl, &groups::master(group))?))
        .collect::<Result<_>>()?;
    agents.iter().try_for_each(|agent| agents::forget_peak(*agent))?;
    let start = Instant::now();
    let running = Running::start(kubectl, &clusters::scale_arguments("3"), "")?;
    running.wait_for(SCALES_WITHIN)?.expect_code(0)?;
    let took = start.elapsed();
    let peaks = agents.into_iter().map(agents::peak_kib).collect::<Result<Vec<_>>>()?;
    Ok((took, peaks.into_iter().max().unwrap_or_default()))
}

/// The length of a file in a bundle.
fn length_of(bundle: &Path, name: &str) -> Result<u64> {
    let content = Run::new("tar").arg("--extract").arg("--to-stdout").arg("--file").arg(bundle).arg(name);
    let length = content.output()?.len();
    u64::try_from(length).context(|| format!("{name} has {length} bytes"))
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_server_and_broker_have_memory() {
        let yaml = yaml();
        assert_eq!(yaml.matches("    limits:\n      memory: ").count(), 2, "{yaml}");
    }
}
