//! `docker.io/apache/rocketmq:<version>` from RocketMQ's published jars, with the official image's layout.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Run;
use crate::error::{Context, LabError, Result};
use crate::home::{self, Home};
use crate::images::{Recipe, buildah, copy, fresh_folder, java, publish, template};
use crate::lock::LabLock;
use crate::{progress, timings};

const MAVEN_DEADLINE: Duration = Duration::from_secs(15 * 60);
const ARTIFACTS: [&str; 3] = ["rocketmq-namesrv", "rocketmq-broker", "rocketmq-tools"];
/// Folders of the image that come from this repository: start scripts, and the configuration without which 4.x programs
/// do not start (a logback file of each program's name, tools.yml).
const FOLDERS: [&str; 2] = ["bin", "conf"];

/// Gives the registry RocketMQ `version`; the registry must be running.
///
/// # Errors
/// When the version's jars are not published, or the image cannot be built.
pub fn build(home: &Home, version: &str, _lock: &LabLock) -> Result<()> {
    if !is_version(version) {
        return Err(
            LabError::new(format!("`{version}` is no version of RocketMQ")).hint("cargo lab images 5.3.3")
        );
    }
    let (jars, base) = prepare(home, version)?;
    let mut recipe = Recipe::new().text(&base).file(&template("rocketmq.Dockerfile"))?;
    for folder in FOLDERS {
        for file in files(&template("rocketmq").join(folder))? {
            recipe = recipe.file(&file)?;
        }
    }
    let image = format!("docker.io/apache/rocketmq:{version}");
    publish(home, &image, &recipe, || {
        let context = fresh_folder(&home.images().join(format!("rocketmq-{version}-root")))?;
        lay_out(&context.join("home/rocketmq"), version, &jars)?;
        let arguments = [("JAVA", base.as_str()), ("VERSION", version)];
        buildah::build(home, &image, &template("rocketmq.Dockerfile"), &context, &arguments)?;
        std::fs::remove_dir_all(&context).context(|| format!("cannot remove {}", context.display()))
    })
}

/// Everything of the image that needs no registry: the folder of its jars, and the name of the image below it.
///
/// # Errors
/// When the version's jars are not published, or the image below cannot be built.
pub fn prepare(home: &Home, version: &str) -> Result<(PathBuf, String)> {
    let jars = timings::step(&format!("jars of RocketMQ {version}"), || jars(home, version))?;
    Ok((jars, timings::step("Java base", || java::ensure(home))?))
}

/// Says so when `text` cannot be a version of RocketMQ.
///
/// # Errors
/// When it is not three numbers.
pub fn require_version(text: &str) -> Result<()> {
    if is_version(text) {
        return Ok(());
    }
    Err(LabError::new(format!("`{text}` is no version of RocketMQ")).hint("cargo lab images 5.3.3"))
}

/// The folder of RocketMQ's jars of `version`, fetched from Maven's central repository if need be.
fn jars(home: &Home, version: &str) -> Result<PathBuf> {
    let folder = home.images().join(format!("rocketmq-{version}"));
    let jars = folder.join("lib");
    if jars.is_dir() {
        return Ok(jars);
    }
    progress::note(format!("fetching the jars of RocketMQ {version}"));
    fresh_folder(&folder)?;
    home::make_folder(&home.logs())?;
    home::write_file(&folder.join("pom.xml"), project(version))?;
    let log = home.log(&format!("maven-{version}"));
    Run::new("mvn")
        .args([
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DoutputDirectory=lib.new",
            "-DincludeScope=runtime",
        ])
        .in_folder(&folder)
        .deadline(MAVEN_DEADLINE)
        .logged(&log)
        .map_err(|error| error.hint("not every version's jars are published (4.9.8 and 5.5.1 are not)"))?;
    std::fs::rename(folder.join("lib.new"), &jars).context(|| format!("cannot write {}", jars.display()))?;
    Ok(jars)
}

fn project(version: &str) -> String {
    let dependencies: String = ARTIFACTS
        .iter()
        .map(|artifact| {
            format!(
                "<dependency><groupId>org.apache.rocketmq</groupId><artifactId>{artifact}</artifactId>\
                 <version>{version}</version></dependency>"
            )
        })
        .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>lab</groupId><artifactId>lab</artifactId><version>1</version>\
         <dependencies>{dependencies}</dependencies></project>\n"
    )
}

fn lay_out(user: &Path, version: &str, jars: &Path) -> Result<()> {
    let rocketmq = user.join(format!("rocketmq-{version}"));
    for folder in [user.join("logs"), user.join("store"), rocketmq.join("lib")] {
        home::make_folder(&folder)?;
    }
    let to_folder =
        |file: &Path, folder: &str| rocketmq.join(folder).join(file.file_name().unwrap_or_default());
    for jar in files(jars)? {
        copy(&jar, &to_folder(&jar, "lib"))?;
    }
    for folder in FOLDERS {
        for file in files(&template("rocketmq").join(folder))? {
            let to = to_folder(&file, folder);
            copy(&file, &to)?;
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755))
                .context(|| format!("cannot make {} a program", to.display()))?;
        }
    }
    Ok(())
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_three_numbers() {
        assert!(is_version("5.3.3"));
        for text in ["", "5.3", "5.3.3.1", "5.3.x", "../..", "5..3"] {
            assert!(!is_version(text), "{text}");
        }
    }

    #[test]
    fn the_project_asks_for_every_program() {
        let text = project("4.5.0");
        assert_eq!(text.matches("<version>4.5.0</version>").count(), ARTIFACTS.len());
    }

    #[test]
    fn an_image_is_laid_out_like_the_official_one() {
        let folder = tempfile::tempdir().unwrap();
        let jars = folder.path().join("lib");
        std::fs::create_dir(&jars).unwrap();
        std::fs::write(jars.join("rocketmq-broker-5.3.3.jar"), "").unwrap();
        let user = folder.path().join("rocketmq");
        lay_out(&user, "5.3.3", &jars).unwrap();
        for file in ["lib/rocketmq-broker-5.3.3.jar", "bin/mqbroker", "conf/logback_broker.xml"] {
            assert!(user.join("rocketmq-5.3.3").join(file).is_file(), "{file}");
        }
    }
}
