//! One test: a namespace of its own, what is shown when it fails, and when it may run.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::pod_cpu;
use crate::error::{Context, LabError, Result};
use crate::timings::{self, Part};
use crate::{home, progress};

/// What a machine of two cores carries at once: one [`Lane::Main`] beside one other, or three others. With four the cores are
/// full, and each row takes a third longer.
const PLACES: usize = 3;

/// How long the first tests wait for the others. The harness starts all at once, in the order of their names, and those that
/// shall begin first may come last.
const ALL_HAVE_COME: Duration = Duration::from_secs(1);

static PLACES_LEFT: Mutex<Places> =
    Mutex::new(Places { free: PLACES, main_waiting: 0, main_running: 0, long_waiting: 0 });
static PLACE_FREED: Condvar = Condvar::new();
static FIRST_CAME: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How much of the machine a test takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A test that measures traffic for minutes: it runs beside one other at most, and before those that wait.
    Main,
    /// A test that takes as long as the longest: it would be the last to end if others began before it.
    Long,
    /// Any other.
    Side,
}

impl Lane {
    fn places(self) -> usize {
        match self {
            Self::Main => 2,
            Self::Long | Self::Side => 1,
        }
    }
}

/// A test that failed; its `Debug` form, which the test harness prints, is the report.
pub struct Failed(String);

impl std::fmt::Debug for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a test works with.
#[derive(Debug)]
pub struct Scene {
    /// The test's name, for what it says.
    pub row: String,
    /// `kubectl` in the test's namespace.
    pub kubectl: Kubectl,
    folder: Arc<TempDir>,
}

impl Scene {
    /// Writes `text` to a file of the test's own and returns its path as text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).context(|| format!("cannot write {}", path.display()))?;
        Ok(path.display().to_string())
    }

    /// A folder of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same test with another plugin, or in another namespace.
    #[must_use]
    pub fn with(&self, kubectl: Kubectl) -> Self {
        Self { row: self.row.clone(), kubectl, folder: Arc::clone(&self.folder) }
    }

    /// Says what the test is about to do.
    pub fn step(&self, text: &str) {
        progress::note(format!("{}: {text}", self.row));
    }
}

/// Runs a test in a namespace of its own. Shows pods, events, logs and journals when it fails; keeps the namespace with
/// `ROCKETMQ_E2E_KEEP=1`.
///
/// # Errors
/// What was wrong; without `ROCKETMQ_E2E=1`, that there is no lab.
pub fn scene(
    row: &str,
    lane: Lane,
    act: impl FnOnce(&Scene) -> Result<()>,
) -> std::result::Result<(), Failed> {
    if std::env::var("ROCKETMQ_E2E").as_deref() != Ok("1") {
        return Err(Failed(format!("{row} needs the lab: it runs in `cargo lab test`")));
    }
    pod_cpu::begin();
    let asked = Instant::now();
    let _place = Place::take(lane);
    let (start, began, cpu) = (Instant::now(), Timestamp::now(), timings::used_so_far());
    let namespace = namespace("e2e", row);
    let result = timings::row_begins(row)
        .and_then(|()| Kubectl::of_the_lab(&namespace))
        .and_then(|kubectl| on_stage(row, kubectl, act));
    let took = start.elapsed();
    let commands = timings::used_so_far().saturating_sub(cpu);
    let result = result.and(timings::row_ended(Part {
        name: row.to_owned(),
        began,
        waited: start.duration_since(asked),
        took,
        cpu: pod_cpu::of_namespaces(&namespace).map(|pods| pods + commands),
    }));
    match result {
        Ok(()) => {
            progress::note(format!("{row} passed in {} s", took.as_secs()));
            Ok(())
        }
        Err(error) => Err(Failed(format!("{row} failed after {} s\n{}", took.as_secs(), error.report()))),
    }
}

/// A namespace of this process's own.
pub fn namespace(kind: &str, row: &str) -> String {
    let short: String = row.chars().take(40).map(|c| if c == '_' { '-' } else { c }).collect();
    format!("{kind}-{}-{}", short.trim_end_matches('-'), std::process::id())
}

/// Makes the namespace of `kubectl`, acts there, and takes it away; when that fails, saves its state first.
///
/// # Errors
/// What `act` says, or when the namespace cannot be made or deleted.
pub fn on_stage<T>(row: &str, kubectl: Kubectl, act: impl FnOnce(&Scene) -> Result<T>) -> Result<T> {
    let namespace = kubectl.namespace().to_owned();
    kubectl.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))?;
    let folder = tempfile::tempdir().context(|| "cannot make a temporary folder")?;
    // A temporary folder is its maker's alone; pods must pass through it to theirs.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))
        .context(|| "cannot open a folder")?;
    let scene = Scene { row: row.to_owned(), kubectl, folder: Arc::new(folder) };
    // A panic of an assertion must not skip the dump.
    let result = catch_unwind(AssertUnwindSafe(|| act(&scene)))
        .unwrap_or_else(|_| Err(LabError::new(format!("{row} panicked; its message stands above"))));
    if result.is_err() {
        match dump(&scene) {
            Ok(path) => progress::note(format!("{row}: the state of the namespace is in {}", path.display())),
            Err(error) => progress::note(format!("{row}: no state could be saved: {}", error.report())),
        }
    }
    if std::env::var("ROCKETMQ_E2E_KEEP").as_deref() == Ok("1") {
        progress::note(format!("{row}: namespace {namespace} is kept"));
    } else {
        scene.kubectl.run(&["delete", "namespace", &namespace, "--wait=false"])?;
        // The machine is needed for other tests, and the test's folder goes with the scene: no pod may use it any more.
        scene.kubectl.run(&["delete", "pods", "--all", "--grace-period=1"])?;
    }
    result
}

/// Writes what explains a failure into a file below `target`: pods, events, journals and records, and every container's
/// log, also of its run before.
fn dump(scene: &Scene) -> Result<PathBuf> {
    let mut text = String::new();
    let mut show = |arguments: &[&str]| {
        let shown = scene.kubectl.run(arguments).unwrap_or_else(|error| error.report());
        text.push_str(&format!("$ kubectl {}\n{shown}\n\n", arguments.join(" ")));
    };
    show(&["get", "all,pvc,lease", "-o", "wide"]);
    show(&["get", "events", "--sort-by=.lastTimestamp"]);
    show(&["describe", "pods"]);
    show(&["get", "configmaps", "-o", "yaml"]);
    let pods = scene.kubectl.json(&["get", "pods"])?;
    for pod in pods["items"].as_array().into_iter().flatten() {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        for container in containers(pod) {
            show(&["logs", name, "-c", container, "--tail=400"]);
            show(&["logs", name, "-c", container, "--tail=100", "--previous"]);
        }
    }
    let folder = home::repository().join("target/e2e");
    home::make_folder(&folder)?;
    let path = folder.join(format!("{}.txt", scene.row));
    home::write_file(&path, text)?;
    Ok(path)
}

fn containers(pod: &Value) -> impl Iterator<Item = &str> {
    ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str())
}

struct Places {
    free: usize,
    main_waiting: usize,
    main_running: usize,
    long_waiting: usize,
}

impl Places {
    /// How many tests of this lane wait, where that is counted.
    fn waiting(&mut self, lane: Lane) -> Option<&mut usize> {
        match lane {
            Lane::Main => Some(&mut self.main_waiting),
            Lane::Long => Some(&mut self.long_waiting),
            Lane::Side => None,
        }
    }

    fn must_wait(&self, lane: Lane) -> bool {
        // Small tests that follow each other would never leave two places free at once.
        let main_is_next = self.main_waiting > 0 && self.main_running == 0;
        self.free < lane.places()
            || lane != Lane::Main && main_is_next
            || lane == Lane::Side && self.long_waiting > 0
    }
}

/// A test's places, given back when it ends.
struct Place(Lane);

impl Place {
    fn take(lane: Lane) -> Self {
        let mut places = PLACES_LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = places.waiting(lane) {
            *waiting += 1;
        }
        let until_all_have_come = ALL_HAVE_COME.saturating_sub(FIRST_CAME.elapsed());
        let (places, _) = PLACE_FREED
            .wait_timeout_while(places, until_all_have_come, |_| true)
            .unwrap_or_else(PoisonError::into_inner);
        let mut places = PLACE_FREED
            .wait_while(places, |places| places.must_wait(lane))
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = places.waiting(lane) {
            *waiting -= 1;
        }
        places.free -= lane.places();
        places.main_running += usize::from(lane == Lane::Main);
        drop(places);
        PLACE_FREED.notify_all();
        Self(lane)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = PLACES_LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        places.free += self.0.places();
        places.main_running -= usize::from(self.0 == Lane::Main);
        drop(places);
        PLACE_FREED.notify_all();
    }
}

/// How long pods may take to be as a test wants them: images are pulled and JVMs started, several at once.
pub const PODS_WITHIN: Duration = Duration::from_secs(240);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_measure_begin_first_then_those_that_wait_long() {
        let places = |free, main_waiting, main_running, long_waiting| Places {
            free,
            main_waiting,
            main_running,
            long_waiting,
        };
        let begins =
            |places: Places| [Lane::Main, Lane::Long, Lane::Side].map(|lane| !places.must_wait(lane));
        assert_eq!(begins(places(3, 1, 0, 1)), [true, false, false]);
        assert_eq!(begins(places(1, 1, 0, 0)), [false, false, false]);
        assert_eq!(begins(places(1, 1, 1, 1)), [false, true, false]);
        assert_eq!(begins(places(1, 1, 1, 0)), [false, true, true]);
        assert_eq!(begins(places(2, 0, 0, 0)), [true, true, true]);
        assert_eq!(begins(places(0, 0, 1, 0)), [false, false, false]);
    }
}
