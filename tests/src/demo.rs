//! `cargo lab demo`: the main job by the real `kubectl rocketmq`, and how to repeat it by hand.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::cluster::Kubectl;
use crate::command::Run;
use crate::error::{LabError, Result};
use crate::home::Home;
use crate::together::together;
use crate::{binaries, check, cli, home, images, progress, suite, third_party, timings};

pub(crate) const NAMESPACE: &str = "rocketmq-demo";
/// The version of RocketMQ in the example.
const VERSION: &str = "5.3.3";
/// A scale-in alone may take minutes: it waits until clients have read the shorter list.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// What a newcomer types.
const SESSION: [&str; 8] = [
    "kubectl create namespace rocketmq-demo",
    "kubectl rocketmq apply -f examples/demo.yaml -n rocketmq-demo -y",
    "kubectl rocketmq status demo -n rocketmq-demo",
    "kubectl rocketmq scale nameservice demo --size 3 -n rocketmq-demo -y",
    "kubectl rocketmq status demo -n rocketmq-demo",
    "kubectl rocketmq scale nameservice demo --size 1 -n rocketmq-demo -y",
    "kubectl rocketmq status demo -n rocketmq-demo",
    "kubectl rocketmq ops list -n rocketmq-demo",
];
/// How the newcomer takes it away again; the demo leaves it there.
const TAKE_DOWN: &str = "kubectl rocketmq delete -f examples/demo.yaml -n rocketmq-demo";

/// Brings up the lab, or takes the cluster of `kubeconfig`, and plays the session there.
///
/// # Errors
/// When the lab does not come up or a command of the session fails.
pub fn demo(home: &Home, kubeconfig: Option<&Path>) -> Result<()> {
    let prepare = || match kubeconfig {
        Some(kubeconfig) => {
            cli::existing_cluster(home, kubeconfig)?;
            let kubectl = Kubectl::of_cluster(home, kubeconfig.to_path_buf());
            refuse_a_used_namespace(&kubectl).map(|()| (kubectl, None))
        }
        None => {
            let lock = suite::quiet_cluster_with_images(home, &[VERSION])?;
            Ok((Kubectl::of_lab(home), Some(lock)))
        }
    };
    let (begin, is_first) = (Timestamp::now(), !home.bin().exists());
    let start = Instant::now();
    third_party::restore(home)?;
    let compile = || match kubeconfig {
        Some(_) => Ok(None),
        None => images::compile_agent(images::Profile::Lab).map(Some),
    };
    let ((kubectl, lock), (agent, plugin)) = together(prepare, || together(compile, check::build_cli))?;
    if let (Some(lock), Some(agent)) = (&lock, &agent) {
        images::publish_agent(home, agent, lock)?;
    }
    let transcript = timings::step("demo", || play(home, kubectl.kubeconfig(), &plugin))?;
    suite::told("cargo lab demo", is_first, begin, start, Path::new(""))?;
    progress::note("that was the demo; its RocketMQ stays up. What was done, to be repeated by hand:");
    progress::answer(format!("\n$ export KUBECONFIG={}", kubectl.kubeconfig().display()));
    progress::answer(format!("$ export PATH={}:$PATH:{}", plugin.display(), home.bin().display()));
    progress::answer(format!("$ cd {}\n", home::repository().display()));
    for (command, printed) in transcript {
        progress::answer(format!("$ {command}\n{printed}"));
    }
    progress::answer(format!(
        "To take it away:\n\n$ {TAKE_DOWN}\n$ kubectl delete namespace {NAMESPACE}\n$ cargo lab down"
    ));
    Ok(())
}

fn play(home: &Home, kubeconfig: &Path, plugin: &Path) -> Result<Vec<(&'static str, String)>> {
    let path = binaries::path_variable(home, &[PathBuf::from(plugin)])?;
    let mut transcript = Vec::new();
    for command in SESSION {
        progress::note(format!("$ {command}"));
        let mut words = command.split(' ');
        let printed = match words.next() {
            Some("kubectl") => Run::new(binaries::kubectl(home)),
            program => return Err(LabError::new(format!("the session calls {program:?}"))),
        }
        .args(words)
        .in_folder(home::repository())
        .env("KUBECONFIG", kubeconfig)
        .env("PATH", &path)
        .deadline(DEADLINE)
        .answered()?;
        transcript.push((command, printed));
    }
    Ok(transcript)
}

fn refuse_a_used_namespace(kubectl: &Kubectl) -> Result<()> {
    if kubectl.has_namespace(NAMESPACE)? {
        return Err(LabError::new(format!("this cluster has a namespace {NAMESPACE} already"))
            .hint(format!("kubectl delete namespace {NAMESPACE}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_stays_in_its_namespace() {
        assert!(SESSION.iter().chain([&TAKE_DOWN]).all(|command| command.contains(NAMESPACE)));
    }

    #[test]
    fn the_example_is_of_the_version_that_is_built() {
        let example = std::fs::read_to_string(home::repository().join("examples/demo.yaml")).unwrap();
        assert!(example.contains(&format!("apache/rocketmq:{VERSION}")));
    }
}
