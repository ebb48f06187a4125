//! The image below every RocketMQ image: busybox, bash, a Java runtime made by jlink, and the libraries they need,
//! all taken from this machine.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::{Run, find_on_path};
use crate::error::{Context, LabError, Result};
use crate::home::{self, Home};
use crate::images::{Recipe, buildah, busybox, copy, fresh_folder, template};
use crate::progress;

const MODULES: &str = "java.se,jdk.unsupported,jdk.management,jdk.crypto.ec,jdk.zipfs";

/// Makes the archive of the JDK's own classes, which jlink leaves out. Without it each start takes a broker a second more of
/// a core, and the tests start hundreds.
const DUMP: &str = "-Xshare:dump";

/// Files of the Java runtime whose libraries are copied.
const JAVA_FILES: [&str; 5] =
    ["bin/java", "lib/server/libjvm.so", "lib/libjava.so", "lib/libnio.so", "lib/libnet.so"];

/// Libraries that are opened by name at run time, so that no file lists them: the resolver's, and those of RocksDB,
/// which RocketMQ 5.4 brings along.
const OPENED_BY_NAME: [&str; 9] = [
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libresolv.so.2",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libm.so.6",
    "libstdc++.so.6",
    "libgcc_s.so.1",
];

/// The local name of the image, built if it is not there.
///
/// # Errors
/// When jlink or buildah fails, or a library is missing.
pub(super) fn ensure(home: &Home) -> Result<String> {
    let jlink = find_on_path("jlink").ok_or_else(|| {
        LabError::new("`jlink` is not on PATH; the images' Java is made with it").hint("install a JDK 17")
    })?;
    let java = Run::new("java").arg("-version").output().and(Run::new(&jlink).arg("--version").output())?;
    let recipe = Recipe::new()
        .text(MODULES)
        .text(DUMP)
        .text(&java)
        .file(&template("java.Dockerfile"))?
        .file(&template("java/etc/passwd"))?
        .file(&template("java/etc/group"))?
        .digest();
    let image = format!("localhost/kubectl-rocketmq-lab/java:{}", &recipe[..12]);
    if buildah::has(home, &image) {
        return Ok(image);
    }
    progress::note("building the Java base of RocketMQ's images");
    let context = fresh_folder(&home.images().join("java"))?;
    let root = context.join("root");
    make_root(&root, &jlink, home)?;
    buildah::build(home, &image, &template("java.Dockerfile"), &context, &[])?;
    std::fs::remove_dir_all(&context).context(|| format!("cannot remove {}", context.display()))?;
    Ok(image)
}

fn make_root(root: &Path, jlink: &Path, home: &Home) -> Result<()> {
    for folder in ["bin", "opt", "root", "tmp"] {
        home::make_folder(&root.join(folder))?;
    }
    std::fs::set_permissions(root.join("tmp"), std::fs::Permissions::from_mode(0o1777))
        .context(|| "cannot open /tmp of the image to all")?;
    let jre = root.join("opt/jre");
    Run::new(jlink)
        .args(["--add-modules", MODULES, "--strip-debug", "--no-header-files", "--no-man-pages", "--output"])
        .arg(&jre)
        .deadline(Duration::from_secs(300))
        .logged(&home.log("jlink"))?;
    Run::new(jre.join("bin/java")).arg(DUMP).logged(&home.log("class-data-sharing"))?;
    let busybox = busybox()?;
    copy(&busybox, &root.join("bin/busybox"))?;
    for applet in Run::new(&busybox).arg("--list").output()?.lines().filter(|name| *name != "busybox") {
        let link = root.join("bin").join(applet);
        symlink("busybox", &link).context(|| format!("cannot make {}", link.display()))?;
    }
    let bash = PathBuf::from("/bin/bash");
    // bash is no applet of busybox, so nothing is overwritten.
    copy(&bash, &root.join("bin/bash"))?;
    for file in ["passwd", "group"] {
        copy(&template("java/etc").join(file), &root.join("etc").join(file))?;
    }
    let programs: Vec<PathBuf> = JAVA_FILES.iter().map(|file| jre.join(file)).chain([bash]).collect();
    for library in libraries(&programs)? {
        copy(&library, &root.join(library.strip_prefix("/").unwrap_or(&library)))?;
    }
    Ok(())
}

fn libraries(programs: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut all = parse_ldd(&Run::new("ldd").args(programs).output()?);
    let folder = all
        .iter()
        .find(|path| path.ends_with("libc.so.6"))
        .and_then(|libc| libc.parent())
        .map(Path::to_path_buf)
        .ok_or_else(|| LabError::new("ldd does not say where libc.so.6 lies"))?;
    all.extend(OPENED_BY_NAME.iter().map(|name| folder.join(name)).filter(|path| path.exists()));
    Ok(all)
}

/// Libraries outside of the runtime itself, from lines like `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)` and
/// `/lib64/ld-linux-x86-64.so.2 (0x...)`.
fn parse_ldd(text: &str) -> BTreeSet<PathBuf> {
    text.lines()
        .filter(|line| line.starts_with(char::is_whitespace))
        .filter_map(|line| line.rsplit_once("=>").map_or(line, |(_, path)| path).split_whitespace().next())
        .filter(|path| path.starts_with("/lib") || path.starts_with("/usr/lib"))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_outside_of_the_runtime() {
        let text = "/x/jre/bin/java:
\tlinux-vdso.so.1 (0x00007ffc)
\tlibjli.so => /x/jre/bin/../lib/libjli.so (0x00007f)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f)
";
        let found: Vec<PathBuf> = parse_ldd(text).into_iter().collect();
        assert_eq!(
            found,
            [PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"), PathBuf::from("/lib64/ld-linux-x86-64.so.2")]
        );
    }
}
