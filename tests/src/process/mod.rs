//! Long-running programs of the lab: started in a session of their own, so that they outlive `cargo lab`, and ended only
//! after a check that the process id still means the process that was started.

mod pid_file;
pub mod table;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub use pid_file::PidFile;

use crate::error::{Context, LabError, Result};
use crate::home::{self, Home, MACHINE};
use crate::progress;
use crate::wait::{self, Look};

/// A program that runs as long as the lab does.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name in logs, pid files and messages.
    pub name: &'static str,
    /// What to run.
    pub program: PathBuf,
    /// With which arguments.
    pub arguments: Vec<String>,
}

impl Component {
    /// Starts it and remembers which process it is.
    ///
    /// # Errors
    /// When it cannot be started, or its log or pid file cannot be written.
    pub fn start(&self, home: &Home) -> Result<()> {
        let path = home.log(self.name);
        let log = File::create(&path).context(|| format!("cannot write {}", path.display()))?;
        let errors = log.try_clone().context(|| "cannot duplicate a file descriptor")?;
        // `setsid` becomes the program, so the child's id is the component's.
        let child = Command::new("setsid")
            .arg(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .current_dir("/")
            .spawn()
            .context(|| format!("cannot start {}", self.name))?;
        let pid_file = PidFile::of_process(self.name, child.id())
            .ok_or_else(|| LabError::new(format!("{} ended at once", self.name)).with_log(&path))?;
        pid_file.write(&folder())
    }

    /// An error with the log's end if it is not running any more.
    ///
    /// # Errors
    /// When it has ended.
    pub fn check_alive(&self, home: &Home) -> Result<()> {
        if running().iter().any(|process| process.name == self.name) {
            return Ok(());
        }
        Err(LabError::new(format!("{} has ended", self.name)).with_log(&home.log(self.name)))
    }
}

/// The lab's components that are alive.
pub fn running() -> Vec<PidFile> {
    PidFile::read_all(&folder()).into_iter().filter(PidFile::is_alive).collect()
}

/// Ends every component that is alive, then forgets all of them.
///
/// # Errors
/// When one survives SIGKILL for 20 s.
pub fn end_all() -> Result<()> {
    let alive = running();
    for process in &alive {
        progress::note(format!("ending {} (process {})", process.name, process.pid));
    }
    let pids = alive.iter().map(|process| process.pid).collect::<Vec<_>>();
    // The lab's data does not outlive it, so there is nothing that a gentle end would save.
    table::kill(&pids);
    wait::until("the components' end", Duration::from_secs(20), || {
        let left = running();
        match left.first() {
            None => Look::Ready(()),
            Some(process) => {
                Look::NotYet(format!("{} (process {}) is still there", process.name, process.pid))
            }
        }
    })?;
    let folder = folder();
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Makes the folder of pid files.
///
/// # Errors
/// When it cannot be made.
pub fn prepare() -> Result<()> {
    home::make_folder(&folder())
}

fn folder() -> PathBuf {
    Path::new(MACHINE).join("pids")
}
