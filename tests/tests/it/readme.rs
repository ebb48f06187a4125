//! The README's session, typed line by line.

use std::ffi::OsString;
use std::process::Command;

use lab::e2e::examples;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::watch::ensure;
use lab::error::{Context, LabError, Result};
use lab::home;

use crate::Verdict;

/// A command of the session and the lines that it must print.
#[derive(Debug, PartialEq, Eq)]
struct Typed {
    command: String,
    shown: Vec<String>,
}

#[test]
#[ignore = "needs the lab"]
fn readme_session_is_true() -> Verdict {
    scene("readme", Lane::Side, |scene| {
        let path = home::repository().join("README.md");
        let readme = std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        let namespace = format!("{}-typed", scene.kubectl.namespace());
        let typed = scene.with(scene.kubectl.in_namespace(&namespace));
        let result = types_the_session(&typed, &session(&readme)?);
        scene.kubectl.run(&["delete", "namespace", &namespace, "--wait=false", "--ignore-not-found"])?;
        result
    })
}

/// Types every line, and sends and receives before the cluster goes.
fn types_the_session(scene: &Scene, session: &[Typed]) -> Result<()> {
    let goes = session.iter().position(|typed| typed.command.contains("kubectl rocketmq delete "));
    let goes = goes.ok_or_else(|| LabError::new("the session of README.md does not delete its cluster"))?;
    let (before, rest) = session.split_at(goes);
    before.iter().try_for_each(|typed| type_it(scene, typed))?;
    examples::works(scene, "5.3.3", "readme")?;
    rest.iter().try_for_each(|typed| type_it(scene, typed))
}

/// The first console block of a page.
fn session(page: &str) -> Result<Vec<Typed>> {
    let block = page
        .split_once("```console\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .ok_or_else(|| LabError::new("README.md has no console block"))?
        .0;
    let mut session: Vec<Typed> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), session.last_mut()) {
            (Some(command), _) => session.push(Typed { command: command.to_owned(), shown: Vec::new() }),
            (None, Some(typed)) => typed.shown.push(line.to_owned()),
            (None, None) => {
                return Err(LabError::new(format!("README.md shows `{line}` before any command")));
            }
        }
    }
    Ok(session)
}

/// Runs one command by a shell in the repository, in a namespace of the test's own in place of `mq`.
fn type_it(scene: &Scene, typed: &Typed) -> Result<()> {
    let namespace = scene.kubectl.namespace();
    let here = |text: &str| {
        text.replace("-n mq", &format!("-n {namespace}"))
            .replace("namespace mq", &format!("namespace {namespace}"))
            .replace("namespace/mq", &format!("namespace/{namespace}"))
            .replace(".mq.svc", &format!(".{namespace}.svc"))
    };
    scene.step(&typed.command);
    let output = Command::new("sh")
        .args([OsString::from("-c"), here(&typed.command).into()])
        .current_dir(home::repository())
        .envs(scene.kubectl.environment())
        .output()
        .context(|| "cannot run `sh`")?;
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure(output.status.success(), || format!("`{}` failed:\n{printed}", typed.command))?;
    for line in typed.shown.iter().map(|line| here(line)) {
        ensure(printed.lines().any(|shown| shown.contains(line.trim())), || {
            format!("`{}` does not print `{line}` but:\n{printed}", typed.command)
        })?;
    }
    Ok(())
}

#[test]
fn a_session_is_commands_and_what_they_print() {
    let session = session("# x\n```console\n$ a\nb\n$ c\n```\n").unwrap();
    let typed = |command: &str, shown: &[&str]| Typed {
        command: command.to_owned(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(session, [typed("a", &["b"]), typed("c", &[])]);
}
